"""What lies beside the tests is imported by its name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
sys.path.insert(0, str(Path(__file__).parent))

from kstatus import Verdict, compute, require


@pytest.fixture(scope="session")
def kstatus() -> Callable[..., list[Verdict]]:
    """Asks Flux's own code."""
    require()
    return compute
