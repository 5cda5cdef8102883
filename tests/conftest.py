"""What every test may ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does: no test fails for that.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the cluster tests be pointed at a cluster that is there already."""
    parser.addoption(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="run the cluster tests on the cluster of this kubeconfig instead of starting one",
    )


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets. Absent: a failure in CI, a skip elsewhere."""
    named = os.environ.get("TICKETSMITH_DATA")
    if named and (Path(named) / "mnist").is_dir():
        return Path(named).resolve()
    reason = (
        f"the real data sets are not there: set TICKETSMITH_DATA (now {named!r}) to their folder"
    )
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
