"""Makes a release of the version that `runner/ticketsmith/__init__.py` says, the one place that says it.

    python scripts/release.py prepare 1.2.3   # the version, and the changelog's heading; then `make charts docs`
    python scripts/release.py check v1.2.3    # whether that tag may become a release: what the workflow asks first
    python scripts/release.py notes 1.2.3     # what changed, as the release's page shows it

Needs nothing but Python, so that the workflow installs nothing before it knows that the tag is right.
"""

import argparse
import datetime
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = Path("runner/ticketsmith/__init__.py")
CHANGELOG = Path("CHANGELOG.md")
CHARTS = (Path("charts/ticketsmith/Chart.yaml"), Path("charts/ticketsmith-crds/Chart.yaml"))

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_UNRELEASED = "## [Unreleased]"


class Refused(Exception):
    """This is no release; the message says what to do."""


def version_of(code: str) -> str:
    """What the code says its version is."""
    found = re.search(r'^__version__ = "([^"]+)"$', code, re.MULTILINE)
    if found is None:
        raise Refused(f'{CODE} has no line `__version__ = "X.Y.Z"`')
    return found[1]


def notes(changelog: str, version: str) -> str:
    """The changelog's section of that version, without its heading."""
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n"
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise Refused(
            f"{CHANGELOG} has nothing below a heading `## [{version}] - YYYY-MM-DD`: "
            f"run `python scripts/release.py prepare {version}`"
        )
    return found[1].strip() + "\n"


def problems(tag: str, root: Path) -> Iterator[str]:
    """Why `tag` may not become a release; nothing if it may."""
    if VERSION.fullmatch(tag.removeprefix("v")) is None or not tag.startswith("v"):
        yield f"the tag is {tag!r}: name it vX.Y.Z"
        return
    version = tag.removeprefix("v")
    told = version_of((root / CODE).read_text())
    if told != version:
        yield f"the tag is {tag}, and {CODE} says {told}: tag the commit that says {version}"
    for chart in CHARTS:
        text = (root / chart).read_text()
        for field in ("version", "appVersion"):
            found = re.search(rf'^{field}: "?([^"\s]+)"?$', text, re.MULTILINE)
            if found is None or found[1] != version:
                there = found[1] if found else "none"
                yield f"{chart}: {field} is {there}, not {version}: run `make charts`"
    try:
        notes((root / CHANGELOG).read_text(), version)
    except Refused as why:
        yield str(why)


def prepare(version: str, today: datetime.date, root: Path) -> None:
    """Write the version where it stands, and close the changelog's list of what is not released."""
    if VERSION.fullmatch(version) is None:
        raise Refused(f"the version is {version!r}: name it X.Y.Z")
    code, changelog = (root / CODE).read_text(), (root / CHANGELOG).read_text()
    before, heading, after = changelog.partition(f"{_UNRELEASED}\n")
    if f"## [{version}]" in changelog:
        raise Refused(f"{CHANGELOG} has a heading for {version}: it was released before")
    if not heading or not after.partition("\n## ")[0].strip():
        raise Refused(f"{CHANGELOG} lists nothing below `{_UNRELEASED}`: say what is new first")
    (root / CHANGELOG).write_text(f"{before}{heading}\n## [{version}] - {today}\n{after}")
    (root / CODE).write_text(code.replace(f'"{version_of(code)}"', f'"{version}"', 1))


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("prepare", help="write a new version").add_argument("version")
    verbs.add_parser("check", help="say whether a tag may be released").add_argument("tag")
    verbs.add_parser("notes", help="print what changed in a version").add_argument("version")
    asked = parser.parse_args(arguments)
    try:
        if asked.verb == "prepare":
            prepare(asked.version, datetime.datetime.now(datetime.UTC).date(), root)
            print(f"Next: make charts docs, commit, merge; then tag that commit v{asked.version}")
        elif asked.verb == "check":
            if found := list(problems(asked.tag, root)):
                raise Refused("\n".join(found))
            print(f"{asked.tag} may be released")
        else:
            print(notes((root / CHANGELOG).read_text(), asked.version), end="")
    except (Refused, OSError) as why:
        sys.exit(str(why))


if __name__ == "__main__":
    main()
