"""Reads are answered from older resourceVersions: each in turn, and all of them to the very end."""

import pytest
from fault_proxy import FaultProxy
from faults.conftest import MakeFleet, StartOperator
from faults.injections import StaleReads

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
READS = range(2, 15)
"""Three lists at the start for each of two readers, and three for each resync after that. Before the first there is
nothing old to answer with."""
BACK = (1, 4)
"""How many resourceVersions an answer is behind."""


def test_any_read_may_be_stale(
    proxy: FaultProxy,
    start_operator: StartOperator,
    make_fleet: MakeFleet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = [(number, back) for number in READS for back in BACK]
    fleet = make_fleet(len(points) + 3)
    untroubled, *troubled = fleet.namespaces
    for namespace, (number, back) in zip(troubled, points, strict=False):
        proxy.faults[namespace] = StaleReads(back, lambda call, n=number: call.number == n)
    for namespace, back in zip(troubled[len(points) :], BACK, strict=True):
        proxy.faults[namespace] = StaleReads(back, lambda call: True)
    monkeypatch.setattr(fleet.node, "seconds", 1.0)  # long enough for some resyncs
    fleet.apply()
    start_operator(fleet, resync_seconds=0.5)
    reference = fleet.wait_until_ended()[untroubled]
    fleet.assert_all_is_well(reference)
    told = [fault.answered for fault in proxy.faults.values() if isinstance(fault, StaleReads)]
    assert sum(1 for answered in told if answered) >= 0.8 * len(told)
