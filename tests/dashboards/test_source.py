"""The dashboards' JSON: as its source makes it, complete, and linked."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboards.__main__ import files
from dashboards.grafana import View, panels, variables
from dashboards.panel_ids import (
    ALERT_PANELS,
    EXPERIMENT_UID,
    FLEET_UID,
    ExperimentPanel,
    FleetPanel,
)

ROOT = Path(__file__).parents[2]
METRICS = ROOT / "docs" / "metrics.md"
NAMES = ("fleet", "experiment")
IDS = {"fleet": FleetPanel, "experiment": ExperimentPanel}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each dashboard in turn."""
    return str(request.param)


@pytest.fixture
def dashboard(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """Its JSON."""
    found: dict[str, Any] = request.getfixturevalue(name)
    return found


def targets(dashboard: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each panel with each of its targets."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield dict(panel), target


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: path.name)
def test_what_is_made_of_the_source_is_up_to_date(path: Path) -> None:
    assert path.read_text() == files()[path], "run `make dashboards`"


def test_uids_and_ids_stay(fleet: dict[str, Any], experiment: dict[str, Any], name: str) -> None:
    assert (fleet["uid"], experiment["uid"]) == ("ticketsmith-fleet", "ticketsmith-experiment")
    chosen = {"fleet": fleet, "experiment": experiment}[name]
    ids = [panel["id"] for panel in chosen["panels"]]
    assert len(ids) == len(set(ids))
    assert {panel["id"] for panel in panels(chosen)} == set(IDS[name])
    assert "id" not in chosen  # Grafana's own number, which differs from one Grafana to the next


def test_every_panel_says_what_it_shows(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        who = panel["title"]
        assert who[0].isupper(), who
        assert len(panel["description"]) > 20, who
        assert panel["description"].endswith("."), who
        assert panel["fieldConfig"]["defaults"]["unit"], who
        assert panel["fieldConfig"]["defaults"]["noValue"], who


def test_every_query_goes_to_the_chosen_data_source(dashboard: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert variables(dashboard)["datasource"]["query"] == "prometheus"
    for panel, target in targets(dashboard):
        assert panel["datasource"] == chosen
        assert target["datasource"] == chosen
        assert target["instant"] != target["range"]
    for variable in variables(dashboard).values():
        if variable["type"] == "query":
            assert variable["datasource"] == chosen


def test_panels_fill_the_grid_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height


def test_thresholds_rise_from_a_base(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        values = [step["value"] for step in steps]
        assert values[:1] in ([], [None]), panel["title"]
        assert values[1:] == sorted(values[1:]), panel["title"]


def test_only_known_metrics_are_asked_for(dashboard: dict[str, Any]) -> None:
    described = set(re.findall(r"^### `(\w+)`$", METRICS.read_text(), re.M))
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", metric)
        for _, target in targets(dashboard)
        for metric in re.findall(r"ticketsmith_\w+", target["expr"])
    }
    assert asked
    assert asked <= described


def test_only_variables_that_are_there_are_used(dashboard: dict[str, Any]) -> None:
    chosen = dict.fromkeys(variables(dashboard), "x")
    view = View(0.0, 3600.0, chosen)
    for _, target in targets(dashboard):
        assert "$" not in view.promql(target["expr"])


def test_the_runbooks_of_alerts_hang_on_the_panels_they_lead_to(
    fleet: dict[str, Any], experiment: dict[str, Any]
) -> None:
    hung = {
        link["url"]: (dashboard["uid"], panel["id"])
        for dashboard in (fleet, experiment)
        for panel in panels(dashboard)
        for link in panel["links"]
    }
    assert hung == {
        f"https://ticketsmith.dev/docs/runbooks/{alert}/": leads_to
        for alert, leads_to in ALERT_PANELS.items()
    }


def test_a_row_of_the_dearest_leads_to_its_experiment(fleet: dict[str, Any]) -> None:
    [table] = [panel for panel in panels(fleet) if panel["id"] == FleetPanel.DEAREST]
    [url] = [
        prop["value"][0]["url"]
        for override in table["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "links"
    ]
    assert url.startswith(f"/d/{EXPERIMENT_UID}?")
    used = set(re.findall(r"var-(\w+)=\$\{__data\.fields\.(\w+)\}", url))
    assert used == {("namespace", "namespace"), ("experiment", "name")}


def test_each_dashboard_leads_to_the_other(
    fleet: dict[str, Any], experiment: dict[str, Any]
) -> None:
    for dashboard, other in ((fleet, EXPERIMENT_UID), (experiment, FLEET_UID)):
        assert any(link["url"].startswith(f"/d/{other}?") for link in dashboard["links"])
