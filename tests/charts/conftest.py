"""What lies beside the tests, in tests/cluster and in scripts is imported by its name."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).parent))

from tools.build import HELM, NotBuilt, binary


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program. It is not built: a failure in CI, a skip elsewhere."""
    try:
        return binary("helm", HELM)
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
