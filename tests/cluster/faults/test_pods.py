"""A round's Pod is taken away, killed, lost, or never gets to start."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cluster_access import ClusterAccess
from faults.fleet import SHORT, Fleet, fleet_of
from faults.node import Node
from misbehaviour import Behaviour, Evict, Lose, NeverStart, Oom, Script
from operator_process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
NOWHERE = {"runner": {"nodeSelector": {"accelerator": "none-here"}}}


@dataclass(frozen=True)
class Case:
    """What happens to the dense round's Pods, and what must come of it."""

    script: Mapping[tuple[str, int], Behaviour | tuple[Behaviour, ...]]
    attempts: int
    failures: int
    pods: int
    """Containers started for it."""
    says: str = ""
    """Part of the message, where the experiment fails."""
    spec: Mapping[str, Any] = field(default_factory=dict)


FIRST = ("dense-s0", 1)
CASES = {
    "evicted": Case({FIRST: Evict()}, attempts=1, failures=0, pods=2),
    "evicted_twice": Case({FIRST: (Evict(), Evict())}, attempts=1, failures=0, pods=3),
    "out_of_memory": Case({FIRST: Oom()}, attempts=2, failures=1, pods=2),
    "out_of_memory_always": Case(
        {("dense-s0", n): Oom() for n in (1, 2, 3)}, 3, 3, 3, says="OOMKilled"
    ),
    "lost": Case({FIRST: Lose()}, attempts=2, failures=1, pods=2),
    "without_an_image": Case({FIRST: NeverStart()}, attempts=2, failures=1, pods=1),
    "never_with_an_image": Case(
        {("dense-s0", n): NeverStart("ErrImagePull", "no such image: x") for n in (1, 2, 3)},
        attempts=3,
        failures=3,
        pods=0,
        says="no such image: x",
    ),
    "unschedulable_past_its_deadline": Case(
        {},
        attempts=2,
        failures=2,
        pods=0,
        says="deadline",
        spec={"limits": {"roundDeadlineSeconds": 1, "retries": 1}, **NOWHERE},
    ),
}


@pytest.fixture(scope="module")
def ended(
    experiments_crd: ClusterAccess, node: Node, operator: OperatorProcess
) -> Iterator[tuple[Fleet, dict[str, str]]]:
    """All cases side by side, and the namespace of each."""
    with fleet_of(experiments_crd, node, len(CASES), **SHORT) as fleet:
        places = dict(zip(CASES, fleet.namespaces, strict=True))
        for name, case in CASES.items():
            node.scripts[places[name]] = Script(case.script)
            fleet.changes[places[name]] = case.spec
        node.seconds = 1.0  # they must be at work when it happens
        fleet.apply()
        fleet.wait_until_ended()
        yield fleet, places


@pytest.mark.parametrize("name", CASES)
def test_a_pod_that_is(name: str, ended: tuple[Fleet, dict[str, str]]) -> None:
    fleet, places = ended
    case, namespace = CASES[name], places[name]
    status = fleet.status(namespace)
    dense = next(one for one in status["rounds"] if one["name"] == "dense-s0")
    assert (dense["attempts"], dense["failures"]) == (case.attempts, case.failures), dense
    assert len(fleet.runs(namespace, "dense-s0")) == case.pods
    if case.says:
        assert (status["phase"], status["reason"]) == ("Failed", "RoundFailed")
        assert case.says in status["message"]
    else:
        assert (status["phase"], status["reason"]) == ("Succeeded", "AllRoundsDone")


def test_nothing_is_left_behind(ended: tuple[Fleet, dict[str, str]]) -> None:
    fleet, _ = ended
    fleet.assert_all_is_well(once=False)
