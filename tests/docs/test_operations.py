"""docs/operations.md names every Event and every condition's reason that there is, and none that there is not."""

import re
from pathlib import Path
from typing import get_args

import yaml

from ticketsmith.experiment.endings import Reason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SOURCES = [
    *(ROOT / "runner" / "ticketsmith" / "experiment").glob("*.py"),
    *(ROOT / "operator" / "ticketsmith_operator" / "controller").glob("*.py"),
]


def rows(section: str) -> list[list[str]]:
    """Cells of the table below that heading."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_event_is_explained() -> None:
    code = "\n".join(source.read_text() for source in SOURCES)
    told = set(re.findall(r"\.(?:tell|warn)\(\s*\"([A-Z]\w+)\"", code))
    told |= set(re.findall(r"\bEvent\(\s*\"(?:Normal|Warning)\",\s*\"(\w+)\"", code))
    assert {cells[0] for cells in rows("Events")} == told


def test_every_reason_of_a_condition_is_explained() -> None:
    endings = set(get_args(Reason))
    on_the_way = {"SpecAccepted", "Waiting", "RoundsRunning", "Suspended"}
    explained = {reason for cells in rows("Conditions") for reason in cells[2].split(", ")}
    assert explained == endings | on_the_way


def test_the_rights_are_those_of_the_manifest() -> None:
    manifest = (ROOT / "examples" / "cluster" / "operator.yaml").read_text()
    granted = {
        (resource, verb)
        for body in yaml.safe_load_all(manifest)
        if body["metadata"]["name"].startswith("ticketsmith-operator")
        for rule in body.get("rules", ())
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    explained = {
        (cells[0].strip("`"), verb)
        for cells in rows("Install")
        if cells[0].startswith("`")
        for verb in cells[1].split(", ")
    }
    assert explained == granted


def test_the_flags_it_names_exist() -> None:
    from ticketsmith_operator.settings import Settings

    flags = {"--" + name.replace("_", "-") for name in Settings.model_fields} | {"--namespace"}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert named <= flags
