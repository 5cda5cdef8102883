"""A cluster for each test that asks: a control plane of the session's own, or the one `--kubeconfig` names."""

import contextlib
import functools
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# What lies beside the tests is imported by its name.
sys.path.insert(0, str(Path(__file__).parent))

from cluster_access import ClusterAccess, Kubectl, private_file
from control_plane import ControlPlane
from process_kubelet import ProcessKubelet, StartKubelet
from tools.build import NotBuilt, binary

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def control_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterAccess]:
    """A cluster with our CRDs. Its programs are not built: a failure in CI, a skip elsewhere."""
    folder = tmp_path_factory.mktemp("cluster")
    named = request.config.getoption("--kubeconfig")
    try:
        binary("kube-apiserver" if named is None else "kubectl")
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
    if named is not None:
        given = ClusterAccess(named.resolve(), folder)
        # A copy that stands alone: what tests write beside a kubeconfig is not for that folder.
        flat = given.kubectl("config", "view", "--raw", "--flatten").stdout
        cluster = ClusterAccess(private_file(folder / "kubeconfig", flat), folder)
        _install_crds(cluster)
        yield cluster
        return
    with ControlPlane(folder) as plane:
        _install_crds(plane)
        yield plane


@pytest.fixture(scope="session")
def experiments_crd(control_plane: ClusterAccess) -> ClusterAccess:
    """The cluster, once it is sure that it serves PruningExperiments."""
    control_plane.kubectl("get", "crd", "pruningexperiments.ticketsmith.dev")
    return control_plane


@pytest.fixture
def namespace(control_plane: ClusterAccess) -> Iterator[str]:
    """A fresh namespace that enforces the restricted Pod Security Standard."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    control_plane.ensure_api_server()
    control_plane.make_namespace(name)
    yield name
    control_plane.ensure_api_server()
    control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def kubectl(control_plane: ClusterAccess, namespace: str) -> Kubectl:
    """kubectl in that namespace."""
    return functools.partial(control_plane.kubectl, "--namespace", namespace)


@pytest.fixture
def start_kubelet(control_plane: ClusterAccess, tmp_path: Path) -> Iterator[StartKubelet]:
    """Starts process kubelets, told as ProcessKubelet is; they stop after the test."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("the cluster given by --kubeconfig has nodes of its own to run Pods")
    with contextlib.ExitStack() as running:

        def start(**options: Any) -> ProcessKubelet:
            kubelet = ProcessKubelet(control_plane.kubeconfig, tmp_path / "pods", **options)
            return running.enter_context(kubelet)

        yield start


def _install_crds(cluster: ClusterAccess) -> None:
    if any(CRDS.glob("*.yaml")):
        cluster.install_crds(CRDS)
