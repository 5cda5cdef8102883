"""docs/runbooks: a page for each alert, and nothing on it that does not exist."""

import functools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus
import pytest
import typer
import yaml

from ticketsmith.cli.app import app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "index")
HEADINGS = ["What it means", "See it", "Likely causes", "Do", "Silence it"]
OTHERS = {"up"}
"""Metrics that are Prometheus' own."""


def text(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text()


def described() -> set[str]:
    """Every metric that there is."""
    return set(re.findall(r"^### `(\w+)`$", (ROOT / "docs" / "metrics.md").read_text(), re.M))


def blocks(page: str, language: str) -> list[str]:
    """Lines of the code blocks in that language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.M | re.S)
    return [line for block in found for line in block.splitlines()]


def commands(page: str) -> Iterator[list[str]]:
    """Words of what is said to be typed, in blocks and in sentences."""
    inline = re.findall(r"`((?:ticketsmith|kubectl) [^`]+)`", text(page))
    for line in [*blocks(page, "sh"), *inline]:
        yield shlex.split(line.partition(" | ")[0])


def tokens(page: str) -> set[str]:
    """Dotted names in backticks, files apart."""
    found = set(re.findall(r"`([A-Za-z]+(?:\.[A-Za-z]+)+)(?:: [^`]*)?`", text(page)))
    return {token for token in found if not token.endswith((".json", ".yaml", ".md"))}


def test_every_alert_has_a_page_and_a_row_and_its_address_names_it(
    alerts: list[dict[str, Any]],
) -> None:
    severities: dict[str, set[str]] = {}
    for rule in alerts:
        severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
        assert rule["annotations"]["runbook_url"].rstrip("/").endswith(f"/{rule['alert']}")
    assert set(PAGES) == severities.keys()
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| ([a-z, ]+) \|", text("index"), re.M)
    assert {name: set(severity.split(", ")) for name, _, severity in rows} == severities
    assert all(name == page for name, page, _ in rows)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_it_means_what_to_see_and_what_to_do(page: str) -> None:
    title, *_ = text(page).splitlines()
    assert title == f"# {page}"
    assert re.findall(r"^## (.*)$", text(page), re.M) == HEADINGS
    assert text(page).splitlines()[2].startswith(("Critical", "Warning"))
    assert blocks(page, "sh")
    assert blocks(page, "promql")


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_and_their_options_exist(page: str) -> None:
    root: Any = typer.main.get_command(app)
    for program, name, *words in commands(page):
        if program == "kubectl":
            continue
        assert program == "ticketsmith"
        taken = root.commands[name].params
        known = {flag for one in taken for flag in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known, f"ticketsmith {name}"


def test_its_queries_are_sound_and_ask_for_metrics_that_exist(tmp_path: Path) -> None:
    queries = [(page, line) for page in PAGES for line in blocks(page, "promql")]
    rules = [{"record": f"query:{number}", "expr": q} for number, (_, q) in enumerate(queries)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [prometheus.program("promtool"), "check", "rules", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for page, query in queries:
        named = {re.sub(r"_(bucket|count|sum)$", "", n) for n in re.findall(r"\w*_\w+", query)}
        named = {name for name in named if name.startswith("ticketsmith_")}
        assert named <= described(), page
        assert named or OTHERS & set(re.findall(r"\w+", query)), page


@functools.cache
def fields() -> dict[str, Any]:
    """The schema of the resource."""
    crd = yaml.safe_load((ROOT / "crds" / "ticketsmith.dev_pruningexperiments.yaml").read_text())
    return dict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def is_field(path: list[str], schema: dict[str, Any]) -> bool:
    """Whether the schema has a field there; what it leaves open holds any."""
    if not path or schema.get("additionalProperties"):
        return True
    head, *rest = path
    return head in schema.get("properties", {}) and is_field(rest, schema["properties"][head])


def is_value(path: list[str], values: Any) -> bool:
    """Whether the chart has a value there."""
    return not path or (path[0] in values and is_value(path[1:], values[path[0]]))


@pytest.mark.parametrize("page", [*PAGES, "index"])
def test_the_fields_and_values_it_names_exist(page: str) -> None:
    values = yaml.safe_load((ROOT / "charts" / "ticketsmith" / "values.yaml").read_text())
    for token in tokens(page):
        path = token.split(".")
        is_known = is_field(path, fields()) or is_field(["spec", *path], fields())
        assert is_known or is_value(path, values), token


@pytest.mark.parametrize("page", PAGES)
def test_the_events_it_names_exist(page: str) -> None:
    explained = (ROOT / "docs" / "operations.md").read_text()
    events = set(re.findall(r"^\| (\w+) \| (?:Normal|Warning)", explained, re.M))
    assert set(re.findall(r"reason=(\w+)", text(page))) <= events
