"""Watch events are never delivered: each in turn, and whole kinds of them."""

from collections.abc import Callable
from typing import Any

import pytest
from fault_proxy import FaultProxy
from faults.conftest import MakeFleet, StartOperator
from faults.injections import MissedEvents

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
EVENTS = 64
"""Of experiments, Jobs and Pods; a run of six rounds sees about as many."""
KINDS: dict[str, Callable[[int, Any], bool]] = {
    "every second one": lambda number, event: number % 2 == 0,
    "all of experiments": lambda number, event: event["object"]["kind"] == "PruningExperiment",
    "all of Jobs": lambda number, event: event["object"]["kind"] == "Job",
    "all of Pods": lambda number, event: event["object"]["kind"] == "Pod",
    "all deletions": lambda number, event: event["type"] == "DELETED",
    "all": lambda number, event: True,
}


def test_any_event_may_be_missed(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(1 + EVENTS + len(KINDS))
    untroubled, *troubled = fleet.namespaces
    single = [lambda number, event, n=n: number == n for n in range(1, EVENTS + 1)]
    for namespace, missed in zip(troubled, [*single, *KINDS.values()], strict=True):
        proxy.faults[namespace] = MissedEvents(missed)
    operator = start_operator(fleet)
    operator.wait_ready()
    fleet.apply()  # only now, so that it is watched and not listed
    reference = fleet.wait_until_ended()[untroubled]
    fleet.assert_all_is_well(reference)
    told = [fault.dropped for fault in proxy.faults.values() if isinstance(fault, MissedEvents)]
    assert sum(1 for dropped in told if dropped) >= 0.6 * len(told)
