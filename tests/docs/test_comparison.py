"""docs/comparison.md: every cell can be checked, by a file of ours or by a peer's at a version that does not move."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "comparison.md").read_text()
TOOLS = ("TicketSmith", "Katib", "Trainer", "JobSet", "Kueue", "Argo Workflows", "OpenLTH")
PLACES = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", PAGE, re.MULTILINE))
VERSIONS = dict(re.findall(r"^\| [^|]+ \| (\S+/\S+) \| `(\S+)` \|", PAGE, re.MULTILINE))
"""The version of each repository that was read, as the page tells it."""


def cells(line: str) -> list[str]:
    """Of a row of a table."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows(heading: str) -> list[list[str]]:
    """Of the table below a heading, its head first, without the line between."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [cells(line) for line in lines[:1] + lines[2:]]


def targets(cell: str) -> list[str]:
    """Where a cell leads; a reference is followed to its address."""
    links = re.findall(r"\]\(([^)\s]+)\)|\]\[([^\]]+)\]", cell)
    return [direct or PLACES.get(name, name) for direct, name in links]


FEATURES = ("The science", "Running", "Operating", "Evidence and age")


@dataclass(frozen=True)
class Cell:
    """What one tool has of one feature."""

    tool: str
    feature: str
    text: str


CELLS = [
    Cell(tool, row[0], text)
    for heading in FEATURES
    for row in rows(heading)[1:]
    for tool, text in zip(TOOLS, row[1:], strict=False)
]
OURS = [cell for cell in CELLS if cell.tool == TOOLS[0]]
THEIRS = [cell for cell in CELLS if cell.tool != TOOLS[0]]
LOOKED_AT = {row[0]: row[1] for row in rows("What was looked at")[1:]}
ALSO = {
    "Katib": {"kubeflow/manifests"},
    "Argo Workflows": {"argoproj/argo-helm", "argoproj/argo-cd"},
}
"""Where a tool's chart or health check lies, if not with the tool."""


@pytest.mark.parametrize("heading", FEATURES)
def test_every_row_has_a_cell_for_every_tool(heading: str) -> None:
    head, *features = rows(heading)
    assert head == ["", *TOOLS]
    assert features
    assert [row[0] for row in features if len(row) != len(head) or not all(row)] == []


def test_every_cell_can_be_checked() -> None:
    assert [cell for cell in CELLS if not targets(cell.text)] == []


def test_ours_lead_to_files_of_this_repository() -> None:
    away = [cell for cell in OURS if any("://" in target for target in targets(cell.text))]
    assert away == []
    local = {target.partition("#")[0] for target in targets(PAGE) if "://" not in target}
    assert {path for path in local if path and not (DOCS / path).exists()} == set()


def test_theirs_lead_to_their_own_repository_or_to_a_search() -> None:
    for cell in THEIRS:
        own = {LOOKED_AT[cell.tool]} | ALSO.get(cell.tool, set())
        addresses = [target for target in targets(cell.text) if not target.startswith("#s")]
        repositories = {"/".join(address.split("/")[3:5]) for address in addresses}
        assert not repositories or repositories & own, cell
        assert repositories <= set(VERSIONS), cell


def test_what_is_said_not_to_be_there_names_its_search() -> None:
    said = [cell for cell in THEIRS if re.search(r"\bnot (found|built in)\b", cell.text)]
    assert said
    assert [cell for cell in said if "](#s" not in cell.text] == []


@pytest.mark.parametrize("name", sorted(PLACES))
def test_an_address_is_of_the_version_that_was_read(name: str) -> None:
    found = re.fullmatch(
        r"https://github\.com/([^/]+/[^/]+)/(?:blob|tree)/([^/]+)/\S+", PLACES[name]
    )
    assert found, PLACES[name]
    assert found[2] == VERSIONS[found[1]]


@pytest.mark.parametrize("version", sorted(VERSIONS.values()))
def test_a_version_does_not_move(version: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}|(?:[a-z-]+-)?v?\d+\.\d+(?:\.\d+)?", version)


def test_nothing_else_leads_to_a_branch() -> None:
    assert re.findall(r"/(?:blob|tree|raw)/(?:main|master|HEAD)\b", PAGE) == []


def test_every_address_and_every_search_is_used() -> None:
    named = set(re.findall(r"\]\[([^\]]+)\]", PAGE))
    assert named == set(PLACES)
    searches = set(re.findall(r"\*\*S\d+\*\*\{#(s\d+)\}", PAGE))
    assert set(re.findall(r"\]\(#(s\d+)\)", PAGE)) == searches
