"""scripts/release.py: what makes a version, and what may become a release."""

import datetime
import shutil
from pathlib import Path

import pytest
import release

TODAY = datetime.date(2026, 3, 1)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the script reads, with something to release."""
    for file in (release.CODE, *release.CHARTS):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(release.ROOT / file, tmp_path / file)
    (tmp_path / release.CHANGELOG).write_text(
        "# Changelog\n\n## [Unreleased]\n\n### Added\n- A thing.\n\n## [0.0.1] - 2025-01-01\n\n- The first.\n"
    )
    return tmp_path


def charts_follow(checkout: Path, version: str) -> None:
    """As `make charts` writes them."""
    for chart in release.CHARTS:
        text = (checkout / chart).read_text()
        told = release.version_of((release.ROOT / release.CODE).read_text())
        (checkout / chart).write_text(text.replace(told, version))


def test_prepared_it_may_be_released(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release.prepare("7.8.9", TODAY, checkout)
    charts_follow(checkout, "7.8.9")
    release.main(["check", "v7.8.9"], checkout)
    release.main(["notes", "7.8.9"], checkout)
    assert capsys.readouterr().out == "v7.8.9 may be released\n### Added\n- A thing.\n"
    changelog = (checkout / release.CHANGELOG).read_text()
    assert "## [Unreleased]\n\n## [7.8.9] - 2026-03-01\n\n### Added" in changelog
    assert release.notes(changelog, "0.0.1") == "- The first.\n"


@pytest.mark.parametrize("tag", ["7.8.9", "v7.8", "v7.8.9-rc1", "v07.8.9", "v7.8.9 ", "latest"])
def test_a_tag_that_is_none(checkout: Path, tag: str) -> None:
    assert list(release.problems(tag, checkout)) == [f"the tag is {tag!r}: name it vX.Y.Z"]


def test_everything_that_disagrees_is_named_at_once(checkout: Path) -> None:
    found = list(release.problems("v7.8.9", checkout))
    assert len(found) == 6
    assert "runner/ticketsmith/__init__.py says" in found[0]
    assert [line.partition(":")[0] for line in found[1:5]] == [
        str(chart) for chart in release.CHARTS for _ in range(2)
    ]
    assert "run `make charts`" in found[1]
    assert "CHANGELOG.md has nothing below" in found[5]


@pytest.mark.parametrize("version", ["7.8", "v7.8.9", "7.8.9rc1", ""])
def test_a_version_that_is_none_is_not_prepared(checkout: Path, version: str) -> None:
    before = (checkout / release.CODE).read_text()
    with pytest.raises(release.Refused, match=r"name it X\.Y\.Z"):
        release.prepare(version, TODAY, checkout)
    assert (checkout / release.CODE).read_text() == before


def test_what_was_released_is_not_released_again(checkout: Path) -> None:
    with pytest.raises(release.Refused, match="released before"):
        release.prepare("0.0.1", TODAY, checkout)


def test_nothing_new_is_no_release(checkout: Path) -> None:
    release.prepare("7.8.9", TODAY, checkout)
    with pytest.raises(release.Refused, match="say what is new first"):
        release.prepare("7.9.0", TODAY, checkout)


def test_a_refusal_is_a_sentence_and_an_exit_code(checkout: Path) -> None:
    with pytest.raises(SystemExit, match=r"name it vX\.Y\.Z"):
        release.main(["check", "latest"], checkout)
