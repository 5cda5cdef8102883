"""ticketsmith gc, from the command line down to the files: what it takes, what it leaves, and what it refuses."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))

from lab import Lab

from ticketsmith.cli.gc import read_age
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.stores import open_store

BIG = ("weights.safetensors",)
SMALL = ("spec.json", "metrics.jsonl", "mask.safetensors", "result.json")
WEEKS = 30 * 86400.0

Run = Callable[..., Any]


def ended(name: str = "trial", **spec: Any) -> PruningExperiment:
    """An experiment that has run to its end."""
    lab = Lab(**spec)
    lab.finish()
    metadata = lab.experiment.metadata.model_copy(update={"name": name})
    return lab.experiment.model_copy(update={"status": lab.status, "metadata": metadata})


def halfway(**spec: Any) -> PruningExperiment:
    """One that has done its dense round and goes on."""
    lab = Lab(**spec)
    lab.tick()
    lab.done("dense-s0")
    return lab.experiment.model_copy(update={"status": lab.status})


def keep(runs: Path, experiment: PruningExperiment) -> dict[str, str]:
    """Its run directory, and files in the store beside it that are old; keys by the rounds' names."""
    name = experiment.metadata.name
    run = runs / f"{name}_{experiment.spec.config_hash}"
    run.mkdir(parents=True)
    (run / "resource.json").write_text(json.dumps(experiment.document()))
    rounds = experiment.status.rounds if experiment.status else ()
    for known in rounds:
        assert known.key is not None
        leave(runs / "store" / known.key)
    return {known.name: known.key for known in rounds if known.key is not None}


def leave(folder: Path, age: float = WEEKS) -> None:
    """A finished round's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*BIG, *SMALL):
        (folder / name).write_bytes(b"x" * 1000)
        os.utime(folder / name, (time.time() - age,) * 2)


def files(runs: Path) -> dict[str, int]:
    """How many files each round has."""
    found: dict[str, int] = {}
    for file in open_store(str(runs / "store")).files():
        found[file.key] = found.get(file.key, 0) + 1
    return found


WHOLE, THINNED = len(BIG) + len(SMALL), len(SMALL)


def test_a_dry_run_says_what_would_go_and_removes_nothing(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keys = keep(runs, ended(retention={"keepCheckpoints": "best"}))
    before = files(runs)
    done = here("gc", "runs/store")
    assert done.returncode == 0, done.stderr
    assert files(runs) == before
    assert keys["ticket-s0-l01"] in done.stdout
    assert "keepCheckpoints is best" in done.stdout
    assert keys["ticket-s0-l02"] not in done.stdout
    assert "2.0 kB of 2 rounds would go" in done.stdout
    assert "add --yes" in done.stdout


def test_with_yes_the_weights_go_that_are_not_kept(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keys = keep(runs, ended(retention={"keepCheckpoints": "best"}))
    done = here("gc", "runs/store", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Removed 2.0 kB of 2 rounds." in done.stdout
    assert files(runs) == {
        keys["dense-s0"]: WHOLE,
        keys["ticket-s0-l01"]: THINNED,
        keys["ticket-s0-l02"]: WHOLE,
        keys["report"]: THINNED,
    }
    again = here("gc", "runs/store", "--yes")
    assert "Removed 0 bytes of 0 rounds." in again.stdout


def test_an_experiment_that_goes_on_keeps_what_it_shares_with_one_that_ended(
    here: Run, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    over = ended("over", retention={"keepCheckpoints": "best"})
    keys = keep(runs, over)
    live = halfway(sparsities={"targets": [0.5, 0.8, 0.9]})
    run = runs / "live_0"
    run.mkdir()
    (run / "resource.json").write_text(json.dumps(live.document()))
    done = here("gc", "runs/store", "--yes", "-o", "json")
    reasons = {one["key"]: one["reason"] for one in json.loads(done.stdout)["rounds"]}
    assert reasons[keys["dense-s0"]] == "needed"
    assert reasons[keys["ticket-s0-l01"]] == "needed"
    assert set(files(runs).values()) == {WHOLE, THINNED}


def test_a_run_that_has_only_just_begun_is_live(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keep(runs, ended(retention={"keepCheckpoints": "best"}))
    run = runs / "new_0"
    run.mkdir()
    document = {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": "new"},
        "spec": {"model": {"name": "lenet300"}},
    }
    (run / "experiment.yaml").write_text(yaml.safe_dump(document))
    done = here("gc", "runs/store")
    assert done.returncode == 0, done.stderr
    assert "which 2 experiments may use" in done.stdout


def test_what_is_young_or_was_used_lately_stays(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keys = keep(runs, ended(retention={"keepCheckpoints": "best"}))
    (runs / "store" / keys["ticket-s0-l01"] / "used").touch()
    assert "There is nothing to remove" not in here("gc", "runs/store", "--older-than", "0").stdout
    done = here("gc", "runs/store", "--older-than", "20d")
    assert keys["ticket-s0-l01"] not in done.stdout
    assert "1 round, 5.0 kB: changed or used within 20d" in done.stdout


def test_orphans_go_only_when_asked_for(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keep(runs, ended())
    leave(runs / "store" / ("f" * 16))
    assert "There is nothing to remove" in here("gc", "runs/store").stdout
    assert "--orphans removes them" in here("gc", "runs/store").stdout
    done = here("gc", "runs/store", "--orphans", "--yes")
    assert "no experiment speaks of it" in done.stdout
    assert not (runs / "store" / ("f" * 16)).exists()
    assert set(files(runs).values()) == {WHOLE}


def test_an_experiment_of_another_store_takes_nothing_from_this_one(
    here: Run, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    elsewhere = {"uri": "gs://elsewhere/prefix"}
    keep(runs, ended(retention={"keepCheckpoints": "best"}, artifacts=elsewhere))
    assert "There is nothing to remove" in here("gc", "runs/store").stdout


def test_experiments_may_come_from_a_file_as_kubectl_prints_them(here: Run, tmp_path: Path) -> None:
    experiment = ended(retention={"keepCheckpoints": "best"})
    keep(tmp_path / "runs", experiment)
    body = experiment.document()
    body["metadata"] |= {
        "namespace": "lab",
        "uid": "1",
        "managedFields": [],
        "resourceVersion": "7",
    }
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": [body]}))
    done = here("gc", "runs/store", "--experiments", "all.json", "-o", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["dryRun"] is True
    going = [one for one in document["rounds"] if one["goes"]]
    assert {tuple(one["experiments"]) for one in going} == {("lab/trial",)}
    assert document["bytes"] == sum(one["bytes"] for one in going) == 2000


def test_an_experiment_whose_spec_is_wrong_keeps_all_that_its_status_speaks_of(
    here: Run, tmp_path: Path
) -> None:
    experiment = ended(retention={"keepCheckpoints": "best"})
    keep(tmp_path / "runs", experiment)
    body = experiment.document()
    body["spec"]["fromTheFuture"] = True
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(body))
    done = here("gc", "runs/store", "--experiments", "one.yaml", "--orphans")
    assert "There is nothing to remove" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gc", "empty"], "nobody says which experiments use this store"),
        (["gc", "gs://bucket"], "nobody says which experiments use this store"),
        (["gc", "s3://bucket", "--runs", "runs"], "s3:// are not supported"),
        (["gc", "runs/store", "--older-than", "7"], "--older-than is '7': write a number with"),
        (["gc", "runs/store", "--older-than", "-1d"], "--older-than"),
        (["gc", "runs/store", "--runs", "nowhere"], "nowhere"),
        (["gc", "runs/store", "--experiments", "nothing.json"], "nothing.json"),
        (["gc", "runs/store", "--experiments", "pod.json"], "more than PruningExperiments"),
        (["gc", "runs/store", "--experiments", "broken.json"], "experiment x cannot be read"),
        (["gc", "runs/store", "-A", "-n", "lab"], "contradict each other"),
    ],
)
def test_what_cannot_be_known_is_refused_and_nothing_goes(
    here: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    runs = tmp_path / "runs"
    keep(runs, ended(retention={"keepCheckpoints": "best"}))
    (tmp_path / "pod.json").write_text('{"kind": "Pod", "metadata": {"name": "x"}}')
    broken = {"kind": "PruningExperiment", "metadata": {"name": "x"}, "status": {"what": 1}}
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    done = here(*arguments, "--orphans", "--yes")
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 or done.stderr.startswith("Usage")
    assert set(files(runs).values()) == {WHOLE}


def test_a_damaged_run_stops_everything(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keep(runs, ended(retention={"keepCheckpoints": "best"}))
    (runs / "half_0").mkdir()
    (runs / "half_0" / "resource.json").write_text('{"half')
    done = here("gc", "runs/store", "--yes")
    assert done.returncode == 2
    assert "half_0" in done.stderr
    assert set(files(runs).values()) == {WHOLE}


def test_a_cluster_that_cannot_be_asked_stops_everything(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keep(runs, ended(retention={"keepCheckpoints": "best"}))
    done = here("gc", "runs/store", "--cluster", "--orphans", "--yes")
    assert done.returncode == 3
    assert set(files(runs).values()) == {WHOLE}


def test_what_is_kept_may_change_once_all_is_over(here: Run, tmp_path: Path) -> None:
    """Running the changed file again runs nothing, and is what the next gc goes by."""
    runs = tmp_path / "runs"
    experiment = ended()
    keep(runs, experiment)
    assert "There is nothing to remove" in here("gc", "runs/store").stdout
    document = experiment.document()
    del document["status"]
    document["spec"]["retention"] = {"keepCheckpoints": "best"}
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(document))
    done = here("run", "trial.yaml", "--no-report")
    assert "Answered from disk" in done.stdout
    assert done.returncode == 0, done.stderr
    assert "2.0 kB of 2 rounds would go" in here("gc", "runs/store").stdout


def test_an_empty_store_is_said_to_be_empty(here: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    keep(runs, ended())
    assert "holds no round" in here("gc", "elsewhere", "--runs", "runs").stdout
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90s", 90), ("2m", 120), ("36h", 129600), ("1w", 604800)]
)
def test_an_age_is_read(text: str, seconds: float) -> None:
    assert read_age(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "1.5d", "7 d", "7D", "9999999d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(BadSpec, match="--older-than"):
        read_age(text)
