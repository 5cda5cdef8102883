"""Whether a run goes on, begins anew, or is answered: decided from what is on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Status
from ticketsmith.local.continuation import is_answered, left_behind, status_to_go_on_from
from ticketsmith.local.machine import Machine, usable_cores
from ticketsmith.local.rundir import RunDirectory

Make = Callable[..., PruningExperiment]


def at(experiment: PruningExperiment, phase: str) -> PruningExperiment:
    return experiment.model_copy(update={"status": Status.model_validate({"phase": phase})})


def changed(experiment: PruningExperiment, **spec: Any) -> PruningExperiment:
    document = experiment.document()
    document["spec"] |= spec
    return PruningExperiment.model_validate(document)


@pytest.mark.parametrize(
    ("phase", "goes_on", "answered"),
    [
        ("Running", True, False),
        ("Suspended", True, False),
        ("Failed", False, False),
        ("Succeeded", False, True),
    ],
)
def test_by_phase(make: Make, phase: str, goes_on: bool, answered: bool) -> None:
    stored = at(make(), phase)
    assert (status_to_go_on_from(stored) is not None) is goes_on
    assert is_answered(stored, make().spec) is answered


def test_nothing_on_disk_begins_anew(make: Make) -> None:
    assert status_to_go_on_from(None) is None
    assert not is_answered(None, make().spec)


@pytest.mark.parametrize(
    ("spec", "answered"),
    [
        ({"limits": {"parallelism": 3}}, True),
        ({"limits": {"maxCost": "9"}}, False),
        ({"limits": {"deadlineSeconds": 9}}, False),
        ({"artifacts": {"uri": "elsewhere"}}, True),
    ],
)
def test_an_answer_holds_until_limits_change_that_may_have_shaped_it(
    make: Make, spec: dict[str, Any], answered: bool
) -> None:
    asked = changed(make(), **spec)
    assert asked.spec.config_hash == make().spec.config_hash
    assert is_answered(at(make(), "Succeeded"), asked.spec) is answered


def test_the_config_hash_covers_what_decides_results(make: Make) -> None:
    first = make().spec.config_hash
    assert make().spec.config_hash == first
    assert len(first) == 8
    for spec in (
        {"seeds": [0]},
        {"training": {"batchSize": 7}},
        {"benchmark": None},
        {"gates": []},
    ):
        assert changed(make(), **spec).spec.config_hash != first


def test_the_run_directory_is_named_and_nothing_is_made(tmp_path: Path, make: Make) -> None:
    run = RunDirectory(tmp_path / "runs", make())
    assert run.path == tmp_path / "runs" / f"made-up_{make().spec.config_hash}"
    assert run.read() is None
    assert not (tmp_path / "runs").exists()


def test_what_ran_when_the_driver_died_was_interrupted() -> None:
    running = {"arm": "dense", "state": "Running", "attempts": 1}
    begun = running | {"startedAt": "1970-01-01T00:01:40Z"}
    rounds = [
        running | {"name": "a", "state": "Done"},
        begun | {"name": "b", "attempts": 2},
        running | {"name": "c"},
        begun | {"name": "d"},
    ]
    status = Status.model_validate({"rounds": rounds})
    seen = {s.name: s for s in left_behind(status, {"b": 130.5, "d": 20.0})}
    assert {(s.name, s.attempt, s.state) for s in seen.values()} == {
        ("b", 2, "interrupted"),
        ("c", 1, "interrupted"),
        ("d", 1, "interrupted"),
    }
    assert (seen["b"].started_at, seen["b"].finished_at) == (100.0, 130.5)
    assert (seen["c"].started_at, seen["c"].finished_at) == (None, None)
    assert seen["d"].finished_at == 100.0  # never before its start


@pytest.mark.parametrize(
    ("text", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)]
)
def test_a_containers_quota_counts(tmp_path: Path, text: str, cores: int | None) -> None:
    quota = tmp_path / "cpu.max"
    assert usable_cores(quota) >= 1
    quota.write_text(text)
    assert usable_cores(quota) == (cores or usable_cores(tmp_path / "none"))


def test_threads_are_shared_out_evenly() -> None:
    assert [Machine(cores=8).threads(n) for n in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
