"""The documentation site builds without a warning, its links lead somewhere, and it fetches nothing from elsewhere."""

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
HOME = "https://ticketsmith.dev/docs/"
REPOSITORY = "https://github.com/ticketsmith/ticketsmith/"


class Page(HTMLParser):
    """Links, loaded things and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it points to."""
        told = {name: value or "" for name, value in attrs}
        self.anchors |= {told[name] for name in ("id", "name") if name in told}
        if tag == "a" and "href" in told:
            self.links.append(told["href"])
        if tag in ("img", "script", "source", "iframe") and told.get("src"):
            self.loaded.append(told["src"])
        if tag == "link" and told.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(told["href"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """Every page of the built site, by its address."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    found = {}
    for file in folder.rglob("*.html"):
        path = file.relative_to(folder).as_posix().removesuffix("index.html")
        found[HOME + path] = Page(file.read_text())
    found.update({HOME + f.relative_to(folder).as_posix(): Page("") for f in folder.rglob("*.*")})
    return found


def targets(pages: dict[str, Page]) -> Iterator[tuple[str, str]]:
    for address, page in pages.items():
        # The page for what is not found stands at no address of its own.
        for link in [] if address.endswith("404.html") else page.links:
            yield address, urljoin(address, link)


def test_every_link_leads_somewhere(pages: dict[str, Page]) -> None:
    broken = []
    for address, target in targets(pages):
        page, _, anchor = target.partition("#")
        if not page.startswith(HOME):
            continue
        known = pages.get(unquote(page))
        if known is None or (anchor and unquote(anchor) not in known.anchors):
            broken.append(f"{address} -> {target}")
    assert broken == []


def test_links_into_the_repository_name_files_that_are_there(pages: dict[str, Page]) -> None:
    named = {
        target.removeprefix(REPOSITORY).split("#")[0]
        for _, target in targets(pages)
        if target.startswith((REPOSITORY + "blob/main/", REPOSITORY + "tree/main/"))
    }
    assert named
    paths = {unquote(path.split("/", 2)[2]) for path in named}
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page]) -> None:
    hosts = {
        urlsplit(urljoin(address, source)).netloc
        for address, page in pages.items()
        for source in page.loaded
    }
    assert hosts == {urlsplit(HOME).netloc}
