"""The API server is restarted, slow, away for a while, or forgets where the watches were."""

import pytest
from cluster_access import ClusterAccess, eventually
from fault_proxy import FaultProxy
from faults.api import JOBS, where
from faults.conftest import MakeFleet, StartOperator
from faults.injections import MissedEvents, Slow, WatchRefusals

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_it_is_restarted_while_rounds_run(
    experiments_crd: ClusterAccess, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(4)
    fleet.node.held.add((fleet.name, "ticket-s0-l01"))
    fleet.apply()
    start_operator(fleet)
    for namespace in fleet.namespaces:
        fleet.wait_until_running(namespace, "ticket-s0-l01")
    experiments_crd.restart_api_server()
    fleet.node.held.clear()
    fleet.assert_all_is_well()


def test_a_round_ends_while_it_is_away(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    """Away for the operator, that is: the round's end is told to the API server meanwhile."""
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, "ticket-s0-l01"))
    fleet.apply()
    start_operator(fleet)
    fleet.wait_until_running(namespace, "ticket-s0-l01")
    proxy.refuse()
    fleet.node.held.clear()
    eventually(
        lambda: fleet.runs(namespace, "ticket-s0-l01")[0].ended is not None, "end of the round"
    )
    proxy.accept()
    fleet.assert_all_is_well()


def test_it_takes_two_seconds_a_call(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(4)
    proxy.faults[None] = Slow(2.0)
    fleet.apply()
    start_operator(fleet)
    fleet.assert_all_is_well()


@pytest.mark.parametrize(
    "refusals",
    [
        WatchRefusals(3),
        WatchRefusals(3, in_stream=False),
        WatchRefusals(3, code=500),
        WatchRefusals(3, code=500, in_stream=False),
        WatchRefusals(3, code=404, in_stream=False),
    ],
    ids=lambda refusals: f"{refusals.code}_{'in_the_stream' if refusals.in_stream else 'at_once'}",
)
def test_watches_are_refused(
    proxy: FaultProxy,
    start_operator: StartOperator,
    make_fleet: MakeFleet,
    refusals: WatchRefusals,
) -> None:
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, "ticket-s0-l01"))
    fleet.apply()
    start_operator(fleet, resync_seconds=600)
    fleet.wait_until_running(namespace, "ticket-s0-l01")
    proxy.faults[namespace] = refusals
    assert proxy.break_watches() == 3
    eventually(lambda: refusals.times == 0, "watches that begin again")
    fleet.node.held.clear()
    fleet.assert_all_is_well()


def test_a_job_is_deleted_while_the_watch_is_broken(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    """Its deletion is never told: the watch that is begun anew lists what is there, and lists do not tell of what is
    not. The resync finds it."""
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, "ticket-s0-l01"))
    fleet.apply()
    start_operator(fleet)
    fleet.wait_until_running(namespace, "ticket-s0-l01")
    proxy.faults[namespace] = WatchRefusals(3)
    proxy.break_watches()
    name = fleet.job(namespace, "ticket-s0-l01")["metadata"]["name"]
    background = {"propagationPolicy": "Background"}
    fleet.api.must("DELETE", where(JOBS, namespace, name), background)
    fleet.wait_until_running(namespace, "ticket-s0-l01", attempt=2)
    fleet.node.held.clear()
    fleet.assert_all_is_well(once=False)
    assert fleet.round(namespace, "ticket-s0-l01")["failures"] == 0


def test_no_event_at_all_is_told_of_a_deleted_job(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    proxy.faults[namespace] = MissedEvents(lambda number, event: event["type"] == "DELETED")
    fleet.node.held.add((fleet.name, "ticket-s0-l01"))
    fleet.apply()
    start_operator(fleet)
    fleet.wait_until_running(namespace, "ticket-s0-l01")
    name = fleet.job(namespace, "ticket-s0-l01")["metadata"]["name"]
    background = {"propagationPolicy": "Background"}
    fleet.api.must("DELETE", where(JOBS, namespace, name), background)
    fleet.wait_until_running(namespace, "ticket-s0-l01", attempt=2)
    fleet.node.held.clear()
    fleet.assert_all_is_well(once=False)
