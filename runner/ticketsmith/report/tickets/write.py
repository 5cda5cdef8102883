"""Write a ticket report: results.json, report.html, report.pdf and the pictures as PNG."""

# reportlab has no annotations, so every call into it is untyped.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus.flowables import CondPageBreak, Flowable, Spacer
from reportlab.platypus.paragraph import Paragraph

from ticketsmith.report.page import lay_out
from ticketsmith.report.paper import (
    CAUTION,
    HEAD,
    SMALL,
    TEXT,
    VERDICT,
    bind,
    pictures,
    plain,
    spaced,
    table,
)
from ticketsmith.report.pictures import Picture
from ticketsmith.report.tables import Table
from ticketsmith.report.tickets.agreement import agreement, is_agreement
from ticketsmith.report.tickets.curves import compared, is_robustness, robustness
from ticketsmith.report.tickets.early_bird import early_bird, is_early_bird
from ticketsmith.report.tickets.importance import importance, is_importance
from ticketsmith.report.tickets.landscape import is_landscape, landscape
from ticketsmith.report.tickets.masks import is_mask, mask
from ticketsmith.report.tickets.overlap import is_overlap, overlap
from ticketsmith.report.tickets.plain import anything, checks, is_checks, is_quality, quality
from ticketsmith.report.tickets.section import Result, Section, slug, styled
from ticketsmith.report.tickets.summarised import as_json
from ticketsmith.report.tickets.trained import controls, is_controls, is_rounds, rounds
from ticketsmith.report.words import plural
from ticketsmith.report.write import HTML, PDF, replace

JSON = "results.json"
_KINDS: tuple[tuple[Callable[[Result], bool], Callable[[str, Result], Section]], ...] = (
    (is_robustness, robustness),
    (is_quality, quality),
    (is_overlap, overlap),
    (is_checks, checks),
    (is_early_bird, early_bird),
    (is_landscape, landscape),
    (is_agreement, agreement),
    (is_controls, controls),
    (is_rounds, rounds),
    (is_mask, mask),
    (is_importance, importance),
)
_FOOT = "TicketSmith. Every figure was computed by the pruning library, and is in results.json."


def ticket_report(
    results: Mapping[str, Any], out: str | Path, *, title: str = "Lottery tickets"
) -> Path:
    """Report on what functions of `lottery_tickets` returned.

    Known results are told with pictures: pruning robustness (several also in one picture), ticket quality, overlap,
    correctness, early-bird search, loss landscape, rank agreement, sanity controls, iterative pruning, masks, and
    scores. Of others the figures are listed. In JSON a tensor is what can be said of it (shape, counts, range), never
    its values.

    Args:
        results: Name of your choice -> result.
        out: Folder to write to; made if it is not there.
        title: What stands above.

    Returns:
        The path of report.html, beside report.pdf, results.json and the pictures as PNG. Equal results give equal
        files.

    Raises:
        ValueError: There is no result, or a name is no text or empty.
        OSError: The folder cannot be written.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError("results is empty: give at least one result by name")
    for name in results:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"results has the name {name!r}: give each result a name, as text")
    folder = Path(out)
    files = render(results, title)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        replace(folder / name, content)
    return folder / HTML


@styled
def render(results: Mapping[str, Any], title: str = "Lottery tickets") -> dict[str, bytes]:
    """The files of a report by name."""
    sections = _sections(results)
    together: list[Picture] = []
    curves = {name: one for name, one in results.items() if _knows(one) is robustness}
    if len(curves) > 1:
        together.append(compared(curves))
    summary = Table(
        "Every result",
        ("Result", "Kind", "What came out"),
        tuple((one.name, one.kind, one.sentence) for one in sections),
        words=frozenset({0, 1, 2}),
    )
    heading = f"{title}: {plural(len(sections), 'result')}"
    drawn = [*together, *(picture for one in sections for picture in one.pictures)]
    page = lay_out(
        "tickets.html.j2",
        title=title,
        heading=heading,
        sections=sections,
        summary=summary,
        together=together,
    )
    return {
        JSON: as_json(results).encode(),
        HTML: page.encode(),
        PDF: _document(heading, summary, together, sections),
        **{f"{picture.name}.png": picture.png for picture in drawn},
    }


def _sections(results: Mapping[str, Any]) -> list[Section]:
    """Each result told under a name whose file names are no other's."""
    taken: set[str] = set()
    sections = []
    for name, result in results.items():
        own, number = name, 2
        while slug(own) in taken:
            own, number = f"{name} {number}", number + 1
        taken.add(slug(own))
        known = _knows(result)
        sections.append(anything(own, result) if known is None else known(own, result))
    return sections


def _knows(result: Any) -> Callable[[str, Result], Section] | None:
    if not isinstance(result, Mapping):
        return None
    return next((tell for is_it, tell in _KINDS if is_it(result)), None)


def _document(
    heading: str, summary: Table, together: list[Picture], sections: list[Section]
) -> bytes:
    story: list[Flowable] = [Paragraph(plain(heading), VERDICT), *table(summary, headed=False)]
    if together:
        story += [Spacer(1, 8), *pictures(together)]
    for one in sections:
        story += [
            CondPageBreak((105 if one.pictures else 40) * mm),
            Paragraph(plain(f"{one.name}: {one.kind}"), HEAD),
            *spaced([Paragraph(plain(one.sentence), TEXT)]),
        ]
        story += [Paragraph(plain(sentence), CAUTION) for sentence in one.cautions]
        facts = "  \N{MIDDLE DOT}  ".join(f"{f.label}: {f.value} ({f.detail})" for f in one.facts)
        story += spaced([Paragraph(plain(facts), SMALL)]) if facts else []
        story += [Spacer(1, 4), *pictures(one.pictures)] if one.pictures else []
        for found in one.tables:
            story += table(found)
        story += [Spacer(1, 4), *spaced([Paragraph(plain(said), SMALL) for said in one.method])]
    return bind(story, heading, _FOOT)
