"""The version stands in one place; whatever else says it is compared with it."""

import re
from pathlib import Path

import release
import yaml

from ticketsmith import __version__
from ticketsmith_operator.settings import Settings

ROOT = Path(__file__).parents[2]


def test_it_is_what_the_script_reads() -> None:
    assert release.version_of((ROOT / release.CODE).read_text()) == __version__
    assert release.VERSION.fullmatch(__version__)


def test_charts_have_it() -> None:
    for chart in release.CHARTS:
        document = yaml.safe_load((ROOT / chart).read_text())
        assert document["version"] == document["appVersion"] == __version__


def test_the_operator_starts_rounds_of_its_own_version() -> None:
    assert Settings().image == f"ghcr.io/ticketsmith/runner:{__version__}"


def test_images_named_anywhere_are_of_it() -> None:
    """In code, examples, charts and pages; X.Y.Z and NEW stand for any."""
    pattern = re.compile(r"ghcr\.io/ticketsmith/(?:operator|runner):([\w.-]+)")
    found: dict[str, set[str]] = {}
    for folder in ("charts", "docs", "examples", "operator", "runner"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in {".md", ".py", ".yaml", ".yml", ".tf", ".tpl", ".json", ".txt"}:
                for tag in pattern.findall(file.read_text()):
                    found.setdefault(tag.rstrip("."), set()).add(str(file.relative_to(ROOT)))
    assert set(found) <= {__version__, "X.Y.Z", "NEW", "edge"}, found


def test_the_package_takes_it_from_there() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project
    assert f'[tool.hatch.version]\npath = "{release.CODE}"' in project
