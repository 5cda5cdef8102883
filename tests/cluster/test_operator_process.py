"""The operator as a process beside a cluster."""

import signal

import pytest
from cluster_access import ClusterAccess
from operator_process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_it_becomes_ready_and_ends_well(experiments_crd: ClusterAccess, namespace: str) -> None:
    with OperatorProcess(experiments_crd.kubeconfig, [namespace], lease_seconds=3) as operator:
        operator.wait_ready()
        assert operator.read("/healthz")[0] == 200
        assert operator.terminate() == 0


def test_it_can_be_killed(experiments_crd: ClusterAccess, namespace: str) -> None:
    with OperatorProcess(experiments_crd.kubeconfig, [namespace]) as operator:
        operator.wait_ready()
        operator.kill()
        assert operator.process.exit_code == -signal.SIGKILL
