"""One node for a file's experiments, a proxy for a test's, and operators that end with the test."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess
from fault_proxy import FaultProxy
from faults.fleet import Fleet, fleet_of
from faults.node import Node
from operator_process import OperatorProcess

StartOperator = Callable[..., OperatorProcess]
MakeFleet = Callable[..., Fleet]


@pytest.fixture(scope="module")
def node(
    experiments_crd: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Node(experiments_crd.kubeconfig, tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def proxy(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(experiments_crd.kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture
def start_operator(proxy: FaultProxy) -> Iterator[StartOperator]:
    """Start one behind the proxy. It lists often and waits little, so that tests need not."""
    with contextlib.ExitStack() as stack:

        def start(
            fleet: Fleet, kubeconfig: Path = proxy.kubeconfig, **flags: Any
        ) -> OperatorProcess:
            hasty = {"resync_seconds": 3, "missing_grace_seconds": 1, "workers": 200}
            process = OperatorProcess(kubeconfig, fleet.namespaces, **(hasty | flags))
            return stack.enter_context(process)

        yield start


@pytest.fixture(scope="module")
def operator(experiments_crd: ClusterAccess) -> Iterator[OperatorProcess]:
    """One for the whole cluster and a whole file, with nothing between it and the API server."""
    flags = {"resync_seconds": 3, "missing_grace_seconds": 1, "start_grace_seconds": 1}
    with OperatorProcess(experiments_crd.kubeconfig, **flags) as process:
        yield process.wait_ready()


@pytest.fixture
def make_fleet(experiments_crd: ClusterAccess, node: Node) -> Iterator[MakeFleet]:
    with contextlib.ExitStack() as stack:
        yield lambda size=1, **spec: stack.enter_context(
            fleet_of(experiments_crd, node, size, **spec)
        )
