"""ticketsmith list: runs here in one table, and what cannot be read beside them."""

import csv
import fcntl
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

Run = Callable[..., CompletedProcess[str]]
ACCURACIES = {0: (0.98, 0.97), 1: (0.97, 0.965), 2: (0.99, 0.96)}
"""Of the dense network and of the ticket, by seed."""


def rounds() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for seed, (dense, ticket) in ACCURACIES.items():
        done = {"seed": seed, "state": "Done", "attempts": 1, "key": f"{seed:016x}"}
        metrics = [{"accuracy": value, "valAccuracy": 0.5} for value in (dense, ticket)]
        found.append({"name": f"dense-s{seed}", "arm": "dense", "level": 0, "metrics": metrics[0]})
        found[-1] |= done
        found.append({"name": f"ticket-s{seed}-l01", "arm": "ticket", "level": 1, "sparsity": 0.8})
        found[-1] |= done | {"metrics": metrics[1], "gate": "passed"}
    return found


def status(phase: str = "Succeeded", **more: Any) -> dict[str, Any]:
    best = {"round": "ticket-s0-l01", "level": 1, "sparsity": 0.8, "metric": 0.97, "drop": 0.01}
    return {
        "phase": phase,
        "progress": "7/7",
        "rounds": rounds(),
        "best": best | {"seedsPassed": 2, "seeds": 3, "speedup": 1.5},
        "usage": {"cost": "0.42", "currency": "USD", "spent": "0.42 USD", "durationSeconds": 90.0},
        "startedAt": "2026-03-01T10:00:00Z",
        **more,
    }


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A run directory that holds this status."""

    def write(name: str, said: dict[str, Any] | None, runs: str = "runs", **spec: Any) -> Path:
        run = tmp_path / runs / f"{name}_0123abcd"
        run.mkdir(parents=True)
        document = {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": {"name": name},
            "spec": {"model": {"name": "lenet300"}, **spec},
        }
        (run / "experiment.yaml").write_text(yaml.safe_dump(document))
        whole = document | ({"status": said} if said else {})
        (run / "resource.json").write_text(json.dumps(whole))
        (run / ".lock").touch()
        return run

    return write


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_nothing_is_there_and_that_is_no_failure(here: Run) -> None:
    done = here("list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "No experiments in runs.\n", "")
    assert json.loads(here("list", "-o", "json").stdout) == {"experiments": [], "problems": []}
    assert here("list", "-o", "csv").stdout.startswith("name,where,reference,")


def test_each_run_is_a_line_with_means_over_its_seeds_the_newest_first(
    here: Run, make: Callable[..., Path]
) -> None:
    make("older", status())
    make("newer", status("Failed", startedAt="2026-03-02T10:00:00Z", best=None))
    head, newer, older = here("list").stdout.splitlines()
    assert cells(head)[:4] == ["NAME", "WHERE", "PHASE", "PROGRESS"]
    assert cells(newer)[:4] == ["newer", "runs/newer_0123abcd", "Failed", "7/7"]
    # Mean of 97, 96.5 and 96; of drops 1, 0.5 and 3 points.
    told = ["Succeeded", "7/7", "80.0%", "96.50%", "2/3", "+1.50", "1.50x", "0.42 USD"]
    assert cells(older)[2:10] == told
    assert "lenet300" in here("list", "-o", "wide").stdout


def test_a_loss_is_told_as_a_loss(here: Run, make: Callable[..., Path]) -> None:
    made = [
        one | {"metrics": {"loss": 0.5 if one["arm"] == "ticket" else 0.25}} for one in rounds()
    ]
    make("by-loss", status(rounds=made), gates=[{"metric": "loss", "maxDrop": 1.0}])
    row = cells(here("list").stdout.splitlines()[1])
    assert (row[5], row[7]) == ("loss 0.5", "+0.25")


def test_programs_get_numbers_and_nothing_where_nothing_was_measured(
    here: Run, make: Callable[..., Path]
) -> None:
    make("whole", status())
    make("begun", None)
    [begun, whole] = json.loads(here("list", "-o", "json", "--sort", "name").stdout)["experiments"]
    assert whole["quality"]["mean"] == pytest.approx(0.965)
    assert whole["drop"]["bySeed"]["2"] == pytest.approx(0.03)
    assert whole["usage"]["cost"] == "0.42"
    assert begun["phase"] == "Pending"
    assert not {"best", "quality", "drop"} & begun.keys()
    table = list(csv.DictReader(io.StringIO(here("list", "-o", "csv", "--sort", "cost").stdout)))
    assert [row["name"] for row in table] == ["whole", "begun"]
    assert (table[0]["seeds"], table[0]["seeds_passed"], table[1]["quality"]) == ("3", "2", "")
    assert yaml.safe_load(here("list", "-o", "yaml").stdout)["problems"] == []


def test_sorting_puts_what_has_no_figure_last_whichever_way(
    here: Run, make: Callable[..., Path]
) -> None:
    make("cheap", status(usage={"cost": "0.1", "currency": "USD"}))
    make("dear", status(usage={"cost": "9", "currency": "USD"}))
    make("free", status(usage={}))

    def names(*arguments: str) -> list[str]:
        return [line.split()[0] for line in here("list", *arguments).stdout.splitlines()[1:4]]

    assert names("--sort", "cost") == ["cheap", "dear", "free"]
    assert names("--sort", "cost", "--reverse") == ["dear", "cheap", "free"]


def test_phases_are_chosen_in_any_case_and_a_wrong_one_is_refused(
    here: Run, make: Callable[..., Path]
) -> None:
    make("one", status())
    make("two", status("Failed"))
    assert "two" not in here("list", "--phase", "succeeded").stdout
    assert here("list", "--phase", "Pending").stdout == "No experiments that are Pending in runs.\n"
    done = here("list", "--phase", "done")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--phase is done: name one of Pending" in done.stderr


def test_damaged_runs_are_named_and_the_others_listed(
    here: Run, make: Callable[..., Path], tmp_path: Path
) -> None:
    make("good", status())
    (make("torn", status()) / "resource.json").write_text('{"apiVersion"')
    (make("lost", status()) / "resource.json").unlink()
    (make("odd", status(ledger=["no such line"])))
    (tmp_path / "runs" / "store").mkdir()
    done = here("list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["good"]
    lost, odd, torn = done.stderr.splitlines()
    assert "lost_0123abcd has no resource.json" in lost
    assert "odd_0123abcd cannot be read: status.ledger" in odd
    assert "torn_0123abcd/resource.json is damaged" in torn


def test_several_folders_are_listed_and_one_that_is_missing_tells_by_the_exit_code(
    here: Run, make: Callable[..., Path]
) -> None:
    make("one", status(), runs="mine")
    make("two", status(), runs="theirs")
    done = here("list", "--runs", "mine", "--runs", "theirs", "--runs", "nowhere")
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == {"one", "two"}
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_cluster_that_does_not_answer_keeps_nothing_else_from_being_listed(
    here: Run, make: Callable[..., Path], tmp_path: Path
) -> None:
    make("good", status())
    contexts = [{"name": n, "context": {"cluster": "gone", "user": "me"}} for n in ("a", "b")]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": contexts,
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    wanted = ["--context", "a", "--context", "b", "--context", "c", "--kubeconfig", str(file)]
    done = here("list", *wanted)
    assert "good" in done.stdout
    assert done.returncode == 3
    assert done.stderr.count("cannot be reached, the connection is refused") == 2
    assert "--context is c, which the kubeconfig does not have" in done.stderr
    told = json.loads(here("list", *wanted, "-o", "json").stdout)
    assert (len(told["experiments"]), len(told["problems"])) == (1, 3)
    assert "good" not in here("list", *wanted, "--no-local").stdout


def test_a_run_that_nothing_drives_is_told_from_one_that_goes_on(
    here: Run, make: Callable[..., Path]
) -> None:
    run = make("left", status("Running"), runs="my runs")
    idle = here("list", "--runs", "my runs").stdout
    assert "Running*" in idle
    assert "ticketsmith run 'my runs/left_0123abcd/experiment.yaml' --runs 'my runs'" in idle
    handle = os.open(run / ".lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "Running*" not in here("list", "--runs", "my runs").stdout
    finally:
        os.close(handle)


def test_one_namespace_and_all_contradict_each_other(here: Run) -> None:
    done = here("list", "-A", "-n", "mine")
    assert (done.returncode, "contradict" in done.stderr) == (2, True)
