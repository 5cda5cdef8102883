"""The report as a PDF, to print or to send."""

# reportlab has no annotations, so every call into it is untyped.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Sequence

from reportlab.platypus.flowables import Flowable, PageBreak, Spacer
from reportlab.platypus.paragraph import Paragraph

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
from ticketsmith.report.view import View

_FOOT = "TicketSmith. Every figure was read from the result files of the rounds."


def document(
    views: Sequence[View], heading: str, overview: Table | None, together: Sequence[Picture]
) -> bytes:
    """One or several runs on A4; equal runs give equal bytes."""
    story: list[Flowable] = []
    if overview:
        story += [Paragraph(plain(heading), VERDICT), *table(overview), *pictures(together)]
    for view in views:
        if story:
            story.append(PageBreak())
        story += _run(view)
    return bind(story, heading, _FOOT)


def _run(view: View) -> list[Flowable]:
    story: list[Flowable] = [
        Paragraph(plain(f"{view.title}: {view.subtitle}, {view.finished}"), SMALL),
        Paragraph(plain(view.verdict.sentence), VERDICT),
    ]
    story += [Paragraph(plain(sentence), CAUTION) for sentence in view.warnings]
    story += table(view.key_results, headed=False)
    story += [Spacer(1, 8), *pictures(view.pictures[:2])]
    if view.reading:
        points = [
            Paragraph(plain(sentence), TEXT, bulletText="\N{BULLET}") for sentence in view.reading
        ]
        story += [Paragraph("What this means", HEAD), *spaced(points)]
    story += pictures(view.pictures[2:])
    for one in (view.results, view.speeds, view.spending):
        if one:
            story += table(one)
    story.append(Paragraph("How it was measured", HEAD))
    story += spaced([Paragraph(plain(paragraph), TEXT) for paragraph in view.method])
    story += [
        Paragraph("Do it again", HEAD),
        Paragraph(
            plain(
                f"ticketsmith run with the experiment folded into report.html; seeds {view.seeds}, config hash "
                f"{view.config_hash}, run {view.label}."
            ),
            TEXT,
        ),
        *table(view.environments),
    ]
    return story
