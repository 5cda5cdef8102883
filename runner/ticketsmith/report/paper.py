"""What our PDFs are made of: styles, tables, pictures two by two, and the binding."""

# reportlab has no annotations, so every call into it is untyped.
# mypy: disable-error-code="no-untyped-call"

import io
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus.doctemplate import SimpleDocTemplate
from reportlab.platypus.flowables import Flowable, Image, KeepTogether, Spacer
from reportlab.platypus.paragraph import Paragraph
from reportlab.platypus.tables import Table as Grid
from reportlab.platypus.tables import TableStyle

from ticketsmith.report.pictures.drawing import Picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, INK, MUTED
from ticketsmith.report.tables import Table

_MARGIN = 16 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_GAP = 5 * mm
_INK, _MUTED, _RULE = colors.HexColor(INK), colors.HexColor(MUTED), colors.HexColor("#d5dae0")
TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=9, leading=12.5, textColor=_INK)
SMALL = ParagraphStyle("small", TEXT, fontSize=7.5, leading=10, textColor=_MUTED)
_CELL = ParagraphStyle("cell", TEXT, fontSize=7, leading=8.8)
_FIGURE = ParagraphStyle("figure", _CELL, alignment=TA_RIGHT)
_TITLE = ParagraphStyle("title", TEXT, fontName="Helvetica-Bold", fontSize=11, leading=14)
HEAD = ParagraphStyle("head", _TITLE, fontSize=12, spaceBefore=14, spaceAfter=5, keepWithNext=1)
VERDICT = ParagraphStyle("verdict", _TITLE, fontSize=16, leading=20.5, spaceBefore=4, spaceAfter=8)
CAUTION = ParagraphStyle(
    "caution",
    TEXT,
    backColor=colors.HexColor("#fff6e0"),
    borderPadding=5,
    spaceAfter=11,
    spaceBefore=5,
)


def spaced(paragraphs: Sequence[Paragraph]) -> list[Flowable]:
    return [part for paragraph in paragraphs for part in (paragraph, Spacer(1, 4))]


def table(table: Table, *, headed: bool = True) -> list[Flowable]:
    def cell(text: str, column: int, *, bold: bool) -> Paragraph:
        style = _CELL if column in table.words else _FIGURE
        return Paragraph(f"<b>{plain(text)}</b>" if bold else plain(text), style)

    lines = [[cell(name, n, bold=True) for n, name in enumerate(table.head)]]
    for number, row in enumerate(table.rows):
        lines.append([cell(text, n, bold=number in table.strong) for n, text in enumerate(row)])
    rules: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    tint = colors.HexColor(ARM_COLOURS["ticket"], hasAlpha=False).clone(alpha=0.09)
    rules += [("BACKGROUND", (0, n + 1), (-1, n + 1), tint) for n in table.strong]
    grid = Grid(lines, colWidths=_widths(table), repeatRows=1, style=TableStyle(rules))
    head = [Paragraph(plain(table.title), HEAD)] if headed else []
    note = [Spacer(1, 3), Paragraph(plain(table.note), SMALL)] if table.note else []
    return [*head, grid, *note]


def _widths(table: Table) -> list[float]:
    """Widths in proportion to the longest text of each column, within reason."""
    weights = [
        min(30.0, max(6.0, *(_longest(row[n]) for row in (table.head, *table.rows)))) ** 0.8
        for n in range(len(table.head))
    ]
    return [_WIDTH * weight / sum(weights) for weight in weights]


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))


def pictures(pictures: Sequence[Picture]) -> list[Flowable]:
    """Pictures two by two, each with title and caption."""
    width = (_WIDTH - _GAP) / 2
    style = TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (0, 0), (0, -1), _GAP / 2),
            ("LEFTPADDING", (1, 0), (1, -1), _GAP / 2),
            ("RIGHTPADDING", (1, 0), (1, -1), 0),
        ]
    )
    rows: list[Flowable] = []
    for start in range(0, len(pictures), 2):
        cells = [_picture(one, width) for one in pictures[start : start + 2]]
        cells += [[Spacer(1, 1)] for _ in range(2 - len(cells))]
        rows.append(KeepTogether([Grid([cells], colWidths=[_WIDTH / 2] * 2, style=style)]))
    return rows


def _picture(one: Picture, width: float) -> list[Flowable]:
    across, down = ImageReader(io.BytesIO(one.png)).getSize()
    return [
        Paragraph(f"<b>{plain(one.title)}</b>", TEXT),
        Spacer(1, 3),
        Image(io.BytesIO(one.png), width=width, height=width * down / across),
        Spacer(1, 3),
        Paragraph(plain(one.caption), SMALL),
    ]


def plain(text: str) -> str:
    """Escaped, with its line breaks, and without the two signs that PDF's built-in fonts lack."""
    text = text.replace("\N{MINUS SIGN}", "-").replace("\N{RIGHTWARDS ARROW}", "to")
    return escape(text).replace("\n", "<br/>")


def bind(story: list[Flowable], title: str, foot: str) -> bytes:
    """The pages as a PDF; an equal story gives equal bytes."""

    def at_the_foot(canvas: Any, layout: Any) -> None:
        del layout
        canvas.setFont("Helvetica", 7)
        canvas.setFillColor(_MUTED)
        canvas.drawString(_MARGIN, 9 * mm, foot)
        canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, f"{canvas.getPageNumber()}")

    stream = io.BytesIO()
    SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=title,
        author="TicketSmith",
        invariant=1,
    ).build(story, onFirstPage=at_the_foot, onLaterPages=at_the_foot)
    return stream.getvalue()
