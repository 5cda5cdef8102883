"""The alerts of the chart: each fires, resolves, and keeps still beside what is healthy, as promtool finds."""

import copy
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import prometheus
import pytest
import yaml
from alert_rules import made
from dashboards.panel_ids import ALERT_PANELS, EXPERIMENT_UID

UNIT = Path(__file__).parent / "unit"
ALERTS = sorted(path.stem for path in UNIT.glob("*.yaml"))
ROOT = Path(__file__).parents[2]
TOLD = {"summary", "description"}
"""Annotations that depend on what happened."""

Rule = dict[str, Any]


def promtool(*arguments: str | Path) -> None:
    """Run it; fail with what it says."""
    command = [prometheus.program("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def unit(alert: str) -> list[dict[str, Any]]:
    """The cases in an alert's file."""
    return list(yaml.safe_load((UNIT / f"{alert}.yaml").read_text())["tests"])


def test_promtool_takes_them(rules: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rules))
    promtool("check", "rules", file)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires_and_resolves_as_its_file_says(
    alert: str, rules: dict[str, Any], tmp_path: Path
) -> None:
    lean = copy.deepcopy(rules)
    for group in lean["groups"]:
        for rule in group["rules"]:
            rule["annotations"] = {k: v for k, v in rule["annotations"].items() if k in TOLD}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(lean))
    cases = unit(alert)
    for case in cases:
        case.setdefault("interval", "1m")
        for moment in case["alert_rule_test"]:
            moment["alertname"] = alert
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document))
    promtool("test", "rules", tmp_path / "test.yaml")


@pytest.mark.parametrize("alert", ALERTS)
def test_its_file_shows_it_fire_then_resolve_and_a_healthy_neighbour(alert: str) -> None:
    fires = [[bool(at["exp_alerts"]) for at in case["alert_rule_test"]] for case in unit(alert)]
    assert any(case[-3:] == [False, True, False] or case[-2:] == [True, False] for case in fires)
    assert any(not any(case) for case in fires)


def test_every_rule_is_shown_to_fire(alerts: Sequence[Rule]) -> None:
    """Also where two rules share a name: their labels tell them apart."""
    ours = {(rule["alert"], *sorted(rule["labels"].items())) for rule in alerts}
    shown = {
        (alert, *sorted(rule["labels"].items()))
        for alert in ALERTS
        for case in unit(alert)
        for at in case["alert_rule_test"]
        for seen in at["exp_alerts"]
        for rule in alerts
        if rule["alert"] == alert and rule["labels"].items() <= seen["exp_labels"].items()
    }
    assert shown == ours


def test_each_says_how_bad_it_is_what_to_do_and_where_to_look(alerts: Sequence[Rule]) -> None:
    for rule in alerts:
        told = rule["annotations"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert told["summary"].endswith(".")
        assert len(told["description"]) > 100
        assert told["runbook_url"] == f"https://ticketsmith.dev/docs/runbooks/{rule['alert']}/"


@pytest.mark.parametrize(("plan", "bound"), [(None, None), (0, "> 0\n"), (12.5, "> 18.75\n")])
def test_the_fleet_is_held_to_a_plan_if_there_is_one(
    programs: None, plan: float | None, bound: str | None
) -> None:
    rules = [rule for group in made(plannedCostPerHour=plan)["groups"] for rule in group["rules"]]
    fleet = [rule["expr"] + "\n" for rule in rules if rule["labels"].get("scope") == "fleet"]
    assert len(fleet) == (bound is not None)
    assert all(str(bound) in expression for expression in fleet)


def test_each_leads_to_its_panel(alerts: Sequence[Rule]) -> None:
    assert {rule["alert"] for rule in alerts} == ALERT_PANELS.keys()
    for rule in alerts:
        told = rule["annotations"]
        uid, panel = ALERT_PANELS[rule["alert"]]
        assert (told["__dashboardUid__"], told["__panelId__"]) == (uid, str(int(panel)))
        if uid == EXPERIMENT_UID:
            chosen = "var-namespace={{ $labels.namespace }}&var-experiment={{ $labels.name }}"
            assert told["dashboard"] == f"/d/{uid}?{chosen}&viewPanel={int(panel)}"


def test_they_ask_for_metrics_that_are_described(alerts: Sequence[Rule]) -> None:
    described = set(re.findall(r"^### `(\w+)`$", (ROOT / "docs/metrics.md").read_text(), re.M))
    asked = {name for rule in alerts for name in re.findall(r"ticketsmith_\w+", rule["expr"])}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked} <= described
