"""The dashboards as they are in the chart, and a fleet to look at with them."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The sources of the dashboards, and what lies beside the tests, are imported by their names.
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).parent))

import prometheus
from fleet_story import FleetStory
from tools.build import NotBuilt, binary

FOLDER = Path(__file__).parents[2] / "charts" / "ticketsmith" / "dashboards"


@pytest.fixture(scope="session")
def fleet() -> dict[str, Any]:
    """The dashboard Fleet."""
    return dict(json.loads((FOLDER / "fleet.json").read_text()))


@pytest.fixture(scope="session")
def experiment() -> dict[str, Any]:
    """The dashboard Experiment."""
    return dict(json.loads((FOLDER / "experiment.json").read_text()))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetStory]:
    """The fleet at the end of its story. A program is missing: a failure in CI, a skip elsewhere."""
    try:
        binary("kube-apiserver")
        prometheus.program()
    except (NotBuilt, prometheus.NotInstalled) as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
    with FleetStory(tmp_path_factory.mktemp("fleet")) as told:
        told.begin()
        told.middle()
        told.restart_operator()
        told.end()
        yield told
