"""What the tests of this folder need of the machine."""

import os

import pytest
from tools.build import HELM, NotBuilt, binary


def needs(program: str) -> None:
    """Go on if helm and that program of Kubernetes are built; else a failure in CI, and a skip elsewhere."""
    try:
        binary("helm", HELM)
        binary(program)
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
