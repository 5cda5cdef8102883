"""People delete Jobs and Pods, and edit the status, while a round runs and after everything has ended."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster_access import ClusterAccess, eventually
from faults.api import JOBS, PODS, where
from faults.conftest import MakeFleet
from faults.fleet import Fleet, fleet_of
from faults.node import Node
from generate import draw
from operator_process import OperatorProcess

from ticketsmith_operator.crd.resource import definition

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
RUNNING = "ticket-s0-l01"
"""The round that runs while the status is edited; dense-s0 is done."""
Status = dict[str, Any]
Edit = Callable[[Status], None]


def _edit_round(name: str, **changes: Any) -> Edit:
    def edit(status: Status) -> None:
        next(one for one in status["rounds"] if one["name"] == name).update(changes)

    return edit


def _drop_round(name: str) -> Edit:
    def edit(status: Status) -> None:
        status["rounds"] = [one for one in status["rounds"] if one["name"] != name]

    return edit


def _add_round(**fields: Any) -> Edit:
    return lambda status: status["rounds"].append({"arm": "ticket", "state": "Running", **fields})


HARMLESS: dict[str, Edit] = {
    "the phase set back": lambda status: status.update(phase="Pending"),
    "the phase said to be suspended": lambda status: status.update(phase="Suspended"),
    "a done round set running": _edit_round("dense-s0", state="Running"),
    "a done round set waiting": _edit_round("dense-s0", state="Waiting"),
    "a done round dropped": _drop_round("dense-s0"),
    "the running round dropped": _drop_round(RUNNING),
    "attempts of the running round set to none": _edit_round(RUNNING, attempts=0, state="Waiting"),
    "failures beyond all retries": _edit_round(RUNNING, failures=50),
    "an unreadable ledger": lambda status: status.update(ledger=["what is this"]),
    "a clock that began in the year 1": lambda status: status.update(
        startedAt="0001-01-01T00:00:00Z", clockSince="0001-01-01T00:00:00Z"
    ),
    "a clock that begins in the year 9999": lambda status: status.update(
        startedAt="9999-12-31T23:59:59Z", clockSince="9999-12-31T23:59:59Z"
    ),
    "an absurd usage": lambda status: status.update(
        usage={"durationSeconds": 1e308, "gpuSeconds": 1e308, "cost": "0"}
    ),
    "an absurd duration": _edit_round(RUNNING, durationSeconds=1.7e308),
    "a start of the running round long ago": _edit_round(RUNNING, startedAt="0001-01-01T00:00:00Z"),
    "a round that cannot be": _add_round(name="no such round", attempts=3),
    "a round of a seed that was not asked for": _add_round(name="dense-s9", seed=9, level=0),
}
"""After these everything comes out as if nobody had touched it, and no round runs again."""
FORGETFUL: dict[str, Edit] = {
    "emptied": lambda status: status.clear(),
    "the running round set waiting": _edit_round(RUNNING, state="Waiting"),
    "all rounds dropped": lambda status: status.update(rounds=[]),
}
"""These say that the running round need not run: it may be stopped and begin again. Else as above."""
COSTLY: dict[str, Edit] = {
    "another key of the running round": _edit_round(RUNNING, key="0123456789abcdef"),
    "attempts of the running round raised": _edit_round(RUNNING, attempts=7),
    "the running round said to be failed": _edit_round(RUNNING, state="Failed"),
    "the running round said to be done": _edit_round(RUNNING, state="Done"),
    "the whole said to be over": lambda status: status.update(phase="Succeeded"),
}
"""These the operator takes at their word: a round may be stopped, or tried again, but never twice at once."""


@pytest.fixture(scope="module")
def edited(
    experiments_crd: ClusterAccess, node: Node, operator: OperatorProcess
) -> Iterator[tuple[Fleet, dict[str, str], Any]]:
    """All edits side by side; the namespace of each; the status of an experiment nobody touched."""
    edits = {**HARMLESS, **FORGETFUL, **COSTLY}
    with fleet_of(experiments_crd, node, 1 + len(edits)) as fleet:
        untouched, *touched = fleet.namespaces
        places = dict(zip(edits, touched, strict=True))
        hold = (fleet.name, RUNNING)
        node.held.add(hold)
        fleet.apply()
        for namespace in fleet.namespaces:
            fleet.wait_until_running(namespace, RUNNING)
        for name, edit in edits.items():
            _edit(fleet, places[name], edit)
        _wait_until_seen(fleet, touched)
        node.held.discard(hold)
        yield fleet, places, fleet.wait_until_ended(untouched)[untouched]


@pytest.mark.parametrize("name", [*HARMLESS, *FORGETFUL])
def test_a_status_is_put_right_after(name: str, edited: tuple[Fleet, dict[str, str], Any]) -> None:
    fleet, places, reference = edited
    fleet.assert_is_well(places[name], reference, once=name in HARMLESS)


@pytest.mark.parametrize("name", COSTLY)
def test_rounds_run_one_at_a_time_after(
    name: str, edited: tuple[Fleet, dict[str, str], Any]
) -> None:
    fleet, places, _ = edited
    fleet.assert_is_well(places[name], once=False)


def _undo_the_end(status: Status) -> None:
    status["phase"] = "Running"
    _edit_round("dense-s0", state="Running")(status)


@pytest.mark.parametrize(
    ("place", "edit"),
    [
        ("a done round dropped", lambda status: status.clear()),
        ("the phase set back", lambda status: status.update(phase="Pending")),
        ("a done round set running", _undo_the_end),
    ],
    ids=["emptied", "the_phase_set_back", "the_phase_and_a_round_set_back"],
)
def test_an_ending_is_found_again_after(
    place: str, edit: Edit, edited: tuple[Fleet, dict[str, str], Any]
) -> None:
    """Everything has ended already: from the Jobs that are still there the same ending is read again. Only the report
    may be made anew, since it tells of a status that was forgotten."""
    fleet, places, reference = edited
    namespace = places[place]
    fleet.assert_is_well(namespace, reference)
    _edit(fleet, namespace, edit)
    fleet.wait_for(
        namespace, lambda status: status.get("phase") == "Succeeded", "the ending to be back"
    )
    fleet.assert_is_well(namespace, reference, once=False)
    trained = [name for name in (one["name"] for one in reference["rounds"]) if name != "report"]
    assert {name: len(fleet.runs(namespace, name)) for name in trained} == dict.fromkeys(trained, 1)


def test_whatever_the_schema_lets_into_a_status_the_experiment_ends(
    operator: OperatorProcess, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(16)
    version = definition()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    fleet.node.held.add((fleet.name, RUNNING))
    fleet.apply()
    for namespace in fleet.namespaces:
        fleet.wait_until_running(namespace, RUNNING)
    taken = 0
    for seed, namespace in enumerate(fleet.namespaces):
        rng = random.Random(seed)
        for _ in range(20):
            drawn = draw(schema, rng)
            if isinstance(drawn, dict):
                drawn.pop("phase", None)  # an ending that somebody wrote is an ending
            path = f"{fleet.path(namespace)}/status"
            current = fleet.experiment(namespace)
            status, _ = fleet.api.ask("PUT", path, {**current, "status": drawn})
            taken += status == 200
    assert taken >= 16
    fleet.node.held.clear()
    fleet.assert_all_is_well(once=False)


@pytest.mark.parametrize("how", ["Background", "Foreground", "Orphan"])
def test_a_running_job_that_is_deleted_is_an_attempt_that_does_not_count(
    operator: OperatorProcess, make_fleet: MakeFleet, how: str
) -> None:
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, RUNNING))
    fleet.apply()
    fleet.wait_until_running(namespace, RUNNING)
    name = fleet.job(namespace, RUNNING)["metadata"]["name"]
    fleet.api.must("DELETE", where(JOBS, namespace, name), {"propagationPolicy": how})
    if how == "Orphan":  # its Pod goes on without it, and ends before anybody may begin anew
        eventually(lambda: fleet.job(namespace, RUNNING) is None, "end of the Job")
        fleet.node.held.clear()
    fleet.wait_until_begun(namespace, RUNNING, attempt=2)
    fleet.node.held.clear()
    fleet.assert_all_is_well(once=False)
    assert fleet.round(namespace, RUNNING)["failures"] == 0


def test_a_finished_job_that_is_deleted_is_not_missed(
    operator: OperatorProcess, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, RUNNING))
    fleet.apply()
    fleet.wait_until_running(namespace, RUNNING)
    name = fleet.job(namespace, "dense-s0")["metadata"]["name"]
    background = {"propagationPolicy": "Background"}
    fleet.api.must("DELETE", where(JOBS, namespace, name), background)
    eventually(lambda: fleet.job(namespace, "dense-s0") is None, "end of the Job")
    fleet.node.held.clear()
    fleet.assert_all_is_well()


def test_a_pod_that_is_deleted_ends_its_attempt(
    operator: OperatorProcess, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, RUNNING))
    fleet.apply()
    fleet.wait_until_running(namespace, RUNNING)
    pod = fleet.runs(namespace, RUNNING)[0].pod
    fleet.api.must("DELETE", where(PODS, namespace, pod))
    fleet.wait_until_begun(namespace, RUNNING, attempt=2)
    fleet.node.held.clear()
    fleet.assert_all_is_well(once=False)


def _edit(fleet: Fleet, namespace: str, edit: Edit) -> None:
    """Edit as with `kubectl edit --subresource=status`: again if the operator was quicker."""

    def is_written() -> bool:
        document = fleet.experiment(namespace)
        status = copy.deepcopy(document["status"])
        edit(status)
        code, said = fleet.api.ask(
            "PUT", f"{fleet.path(namespace)}/status", {**document, "status": status}
        )
        assert code in (200, 409), said
        return bool(code == 200)

    eventually(is_written, "the edit")


def _wait_until_seen(fleet: Fleet, namespaces: list[str]) -> None:
    """A change of spec that the status speaks of proves that the operator has seen what was written before it."""
    for namespace in namespaces:
        fleet.change(namespace, {"spec": {"limits": {"retries": 3}}})

    def is_seen() -> bool:
        found = fleet.experiments()
        return all(
            found[name].get("status", {}).get("observedGeneration")
            == found[name]["metadata"]["generation"]
            for name in namespaces
        )

    eventually(is_seen, "the operator to look at every edit", 60)
