"""What lies beside the tests, in tests/cluster, in tests/terraform and in scripts is imported by its name."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).parents[1] / "terraform"))
sys.path.insert(0, str(Path(__file__).parent))

from cluster_access import ClusterAccess
from control_plane import ControlPlane
from tools.build import HELM, KUBERNETES, LINT, Module, NotBuilt, binary


def _built(name: str, module: Module) -> Path:
    """A program of the tests' own. It is not built: a failure in CI, a skip elsewhere."""
    try:
        return binary(name, module)
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The program."""
    return _built("actionlint", LINT)


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program."""
    return _built("helm", HELM)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterAccess]:
    """A control plane with our CRDs, of its own: nobody else sees the namespaces that the guides make."""
    _built("kube-apiserver", KUBERNETES)
    with ControlPlane(tmp_path_factory.mktemp("cluster")) as plane:
        plane.install_crds(Path(__file__).parents[2] / "crds")
        yield plane
