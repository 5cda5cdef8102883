"""The alerts as the chart makes them."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

# What lies beside the tests, and the sources of the dashboards, are imported by their names.
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "charts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
sys.path.insert(0, str(Path(__file__).parent))

import prometheus
from alert_rules import made
from tools.build import HELM, NotBuilt, binary


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """What these tests run. One is missing: a failure in CI, a skip elsewhere."""
    try:
        binary("helm", HELM)
        binary("kube-apiserver")
        prometheus.program("promtool")
        prometheus.program()
    except (NotBuilt, prometheus.NotInstalled) as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def rules(programs: None) -> dict[str, Any]:
    """Every rule there can be."""
    return made(plannedCostPerHour=12.5)


@pytest.fixture(scope="session")
def alerts(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules one by one; some alerts have two."""
    return [rule for group in rules["groups"] for rule in group["rules"]]
