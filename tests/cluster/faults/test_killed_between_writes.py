"""The operator dies (SIGKILL) right before and right after each of its writes; the next one goes on.

One operator serves an experiment per point of death. In each namespace the proxy lets it come as far as its point and
then answers nothing any more; when all stand still it is killed, so that in each it dies just there.
"""

import itertools
from typing import Literal

import pytest
from cluster_access import eventually
from fault_proxy import FaultProxy
from faults.conftest import MakeFleet, StartOperator
from faults.fleet import Fleet
from faults.injections import Freeze, StaleReads

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
WHEN: tuple[Literal["before", "after"], ...] = ("before", "after")
FIRST_LISTS = 6
"""Of experiments, Jobs and Pods: by the source of events, and by the operator itself."""


@pytest.mark.parametrize("backs", [(0,), (1, 3)], ids=["fresh_lists", "stale_lists"])
def test_an_operator_killed_at_any_write_is_taken_over(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet, backs: tuple[int, ...]
) -> None:
    """With stale lists, the next operator's first view of the cluster is so many resourceVersions old."""
    writes, reference = _count_writes(proxy, start_operator, make_fleet())
    points = [(number, when) for number in range(1, writes + 1) for when in WHEN]
    fleet = make_fleet(len(points))
    frozen = dict(zip(fleet.namespaces, (Freeze(*point) for point in points), strict=True))
    proxy.faults.update(frozen)
    fleet.apply()
    operator = start_operator(fleet)
    _wait_until_all_stand(fleet, frozen)
    operator.kill()
    for (namespace, freeze), back in zip(frozen.items(), itertools.cycle(backs), strict=False):
        freeze.thawed = True
        proxy.faults[namespace] = _stale_start(proxy, namespace, back)
    start_operator(fleet)
    fleet.assert_all_is_well(reference)
    reached = sum(freeze.reached for freeze in frozen.values())
    assert reached >= 0.8 * len(points), f"only {reached} of {len(points)} points were reached"


def _count_writes(
    proxy: FaultProxy, start_operator: StartOperator, fleet: Fleet
) -> tuple[int, object]:
    """The writes of a run without faults, and the status it ends with."""
    fleet.apply()
    operator = start_operator(fleet)
    fleet.assert_all_is_well()
    operator.kill()
    (namespace,) = fleet.namespaces
    return len(proxy.writes(namespace)), fleet.status(namespace)


def _wait_until_all_stand(fleet: Fleet, frozen: dict[str, Freeze]) -> None:
    def stand() -> bool:
        left = [name for name, freeze in frozen.items() if not freeze.reached]
        if not left:
            return True
        # A run may get by with a write less than the one that was counted.
        found = fleet.experiments()
        return all(found[name].get("status", {}).get("phase") == "Succeeded" for name in left)

    eventually(stand, "the operator to stand still everywhere", 240)


def _stale_start(proxy: FaultProxy, namespace: str, back: int) -> StaleReads:
    """Only the first lists of the next operator are stale: the resync after them must put things right."""
    heard = len(proxy.reads(namespace))
    return StaleReads(back, lambda call: bool(back) and call.number <= heard + FIRST_LISTS)
