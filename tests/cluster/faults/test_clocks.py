"""Clocks are an hour off: the nodes' or the operator's. No deadline passes for that, and no time is charged."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pod_status
import pytest
from cluster_access import ClusterAccess
from faults.conftest import MakeFleet
from faults.fleet import SHORT, Fleet
from supervised import Supervised

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
Start = Callable[[float], Supervised]
HOUR = 3600.0
LIMITS = {"limits": {"deadlineSeconds": 1800, "roundDeadlineSeconds": 1200, "parallelism": 2}}
SKEWED = """
import sys, time
real, skew = time.time, float(sys.argv.pop(1))
time.time = lambda: real() + skew
from ticketsmith_operator.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def start(
    experiments_crd: ClusterAccess, tmp_path: Path
) -> Iterator[Callable[[float], Supervised]]:
    """Start an operator whose clock is off by so many seconds."""
    flags = ("--port=0", "--bind=127.0.0.1", "--resync-seconds=3", "--missing-grace-seconds=1")
    environment = os.environ | {"KUBECONFIG": str(experiments_crd.kubeconfig)}
    with contextlib.ExitStack() as stack:

        def begin(skew: float) -> Supervised:
            command = [sys.executable, "-c", SKEWED, str(skew), *flags]
            process = Supervised(command, tmp_path / "operator.log", environment)
            stack.callback(process.stop)
            return process

        yield begin


@pytest.mark.parametrize("skew", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_the_nodes_clock_is_an_hour_off(
    start: Start, make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    true = pod_status.stamp
    monkeypatch.setattr(pod_status, "stamp", lambda moment: true(moment + skew))
    start(0.0)
    _assert_nobody_notices(make_fleet(2, **SHORT, **LIMITS))


@pytest.mark.parametrize("skew", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_the_operators_clock_is_an_hour_off(
    start: Start, make_fleet: MakeFleet, skew: float
) -> None:
    start(skew)
    _assert_nobody_notices(make_fleet(2, **SHORT, **LIMITS))


@pytest.mark.parametrize("skew", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_the_next_operators_clock_is_an_hour_off(
    start: Start, make_fleet: MakeFleet, skew: float
) -> None:
    """Without deadlines: with them, an hour ahead cannot be told from an hour without an operator."""
    fleet = make_fleet(1, **SHORT)
    fleet.node.held.add((fleet.name, "dense-s0"))
    fleet.apply()
    first = start(0.0)
    (namespace,) = fleet.namespaces
    fleet.wait_for(
        namespace,
        lambda status: any("startedAt" in one for one in status.get("rounds", ())),
        "the start of the round in the status",
    )
    first.stop()
    start(skew)
    fleet.node.held.clear()
    fleet.assert_all_is_well()
    assert _charged(fleet) < HOUR / 2


def _assert_nobody_notices(fleet: Fleet) -> None:
    fleet.apply()
    fleet.assert_all_is_well()
    assert _charged(fleet) < HOUR / 2
    assert fleet.status(fleet.namespaces[0])["phase"] == "Succeeded"


def _charged(fleet: Fleet) -> float:
    """Seconds that the rounds of all experiments are said to have taken."""
    return sum(one["status"]["usage"]["durationSeconds"] for one in fleet.experiments().values())
