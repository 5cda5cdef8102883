"""Two operators serve the same experiments and know nothing of each other: no lease keeps one of them back."""

import pytest
from cluster_access import ClusterAccess, eventually
from fault_proxy import FaultProxy
from faults.conftest import MakeFleet, StartOperator
from faults.injections import Freeze

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_two_at_once_do_everything_once(
    start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(20)
    start_operator(fleet).wait_ready()
    start_operator(fleet).wait_ready()
    fleet.apply()
    fleet.assert_all_is_well()


def test_one_that_hangs_between_status_and_job_is_overtaken_and_does_no_harm_when_it_wakes(
    experiments_crd: ClusterAccess,
    proxy: FaultProxy,
    start_operator: StartOperator,
    make_fleet: MakeFleet,
) -> None:
    """The first announces an attempt in the status and then stands still; the second gives the attempt up and goes on
    to the next one. When the first wakes, its Job comes too late: the name is taken."""
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    freeze = Freeze(write=2, when="before", wakes=True)
    proxy.faults[namespace] = freeze
    fleet.apply()
    start_operator(fleet)
    eventually(lambda: freeze.reached, "the first attempt to be announced")
    start_operator(fleet, kubeconfig=experiments_crd.kubeconfig)
    fleet.wait_until_begun(namespace, "dense-s0", attempt=2)
    freeze.thawed = True
    fleet.assert_all_is_well()
    assert fleet.round(namespace, "dense-s0")["attempts"] == 2
