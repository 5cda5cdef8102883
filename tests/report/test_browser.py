"""The page in a real browser: it renders, asks nobody for anything, and fits a phone."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Error, sync_playwright
from torch import nn

import lottery_tickets
from ticketsmith.report import write_report
from ticketsmith.report.runs import load_run
from ticketsmith.report.side_by_side.view import html, view
from ticketsmith.report.tickets import ticket_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Absent: a failure in CI, a skip elsewhere."""
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_playwright() as play:
        try:
            started = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:
            reason = (
                f"no Chromium could be started ({str(error).splitlines()[0]}): install chromium"
            )
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield started
        started.close()


@pytest.fixture(scope="module", params=["report", "comparison", "tickets"])
def page_file(
    request: pytest.FixtureRequest,
    write_run: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report on two runs, their comparison, and a report on what the pruning library returns."""
    folder = tmp_path_factory.mktemp("browser")
    if request.param == "tickets":
        return ticket_report(_library_results(), folder / "tickets")
    runs = [
        write_run(folder),
        write_run(folder, name="digits-quick", dataset="digits", levels=12, best_level=3),
    ]
    if request.param == "report":
        return write_report(runs, folder / "report")
    page = folder / "comparison.html"
    page.write_text(html(view([(str(run), load_run(run)) for run in runs], "accuracy")))
    return page


def _library_results() -> dict[str, Any]:
    """One result of each kind that has colours of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    batch = (torch.randn(30, 8), torch.randint(3, (30,)))
    mask = lottery_tickets.prune(model, target_sparsity=0.5)
    other = lottery_tickets.shuffle_in_layer(mask, torch.Generator().manual_seed(0))
    weights = lottery_tickets.prunable(model)
    return {
        "robustness": lottery_tickets.compute_pruning_robustness(model, batch, return_masks=True),
        "overlap": lottery_tickets.compute_ticket_overlap(mask, other),
        "checks": lottery_tickets.validate_pruning_correctness(model, mask, [batch]),
        "landscape": lottery_tickets.compute_loss_landscape(model, [batch], grid_points=7),
        "agreement": lottery_tickets.compute_rank_agreement(
            {"a": lottery_tickets.magnitude(weights), "b": {n: w**2 for n, w in weights.items()}}
        ),
        "mask of a layer with a name that is too long for a phone": mask,
        "scores": lottery_tickets.magnitude(weights),
    }


def visit(
    browser: Browser, file: Path, width: int, scheme: str, ask: str
) -> tuple[object, list[str]]:
    """Answer of a script on the page, and everything that went wrong or went out."""
    trouble: list[str] = []
    with browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    ) as context:
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on("requestfailed", lambda request: trouble.append(f"failed: {request.url[:80]}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:"))
                else trouble.append(f"went out: {request.url}")
            ),
        )
        page.goto(file.as_uri())
        answer = page.evaluate(ask)
    return answer, trouble


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_renders_without_trouble_and_without_sideways_scrolling(
    browser: Browser, page_file: Path, width: int, scheme: str
) -> None:
    overflow, trouble = visit(
        browser,
        page_file,
        width,
        scheme,
        """() => [...document.querySelectorAll('body *')]
            .filter(e => !e.closest('.scroll') && !e.closest('svg') && !e.closest('pre'))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && e.tagName !== 'CAPTION')
            .map(e => e.tagName + '.' + e.className)
            .concat(document.documentElement.scrollWidth > innerWidth ? ['page'] : [])""",
    )
    assert trouble == []
    assert overflow == []


def test_pictures_follow_the_colour_scheme_and_can_be_read_in_both(
    browser: Browser, page_file: Path
) -> None:
    """Contrast of the pictures' text against their card, WCAG 2.2's formula."""
    ask = """() => {
      const rgb = c => c.match(/[0-9.]+/g).slice(0, 3).map(Number);
      const lum = c => { const [r, g, b] = rgb(c).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const card = getComputedStyle(document.querySelector('figure.card')).backgroundColor;
      const texts = [...document.querySelectorAll('svg text')]
        .filter(t => !t.getAttribute('style').includes('#ffffff')
                  && !t.getAttribute('style').includes('#111111'));
      const ratios = texts.map(t => { const a = lum(getComputedStyle(t).fill), b = lum(card);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
      return [card, texts.length, Math.min(...ratios)]; }"""
    light, _ = visit(browser, page_file, 1280, "light", ask)
    dark, _ = visit(browser, page_file, 1280, "dark", ask)
    assert isinstance(light, list)
    assert isinstance(dark, list)
    assert light[0] != dark[0]
    assert light[1] == dark[1] > 30
    assert light[2] >= 4.5
    assert dark[2] >= 4.5


def test_it_can_be_read_without_seeing(browser: Browser, page_file: Path) -> None:
    answer, _ = visit(
        browser,
        page_file,
        1280,
        "light",
        """() => ({
          language: document.documentElement.lang,
          unnamed: [...document.querySelectorAll('svg')].filter(s => !s.getAttribute('aria-label')).length,
          headless: [...document.querySelectorAll('table')]
            .filter(t => !t.querySelector('thead th[scope=col]') || !t.querySelector('tbody th[scope=row]')
                      || !t.caption).length,
          unfocusable: [...document.querySelectorAll('.scroll')].filter(s => s.tabIndex !== 0).length })""",
    )
    assert answer == {"language": "en", "unnamed": 0, "headless": 0, "unfocusable": 0}


def test_it_prints_in_the_light_scheme(browser: Browser, page_file: Path) -> None:
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.emulate_media(media="print", color_scheme="dark")
        paper = page.evaluate("getComputedStyle(document.body).getPropertyValue('--paper').trim()")
    assert paper == "#ffffff"
