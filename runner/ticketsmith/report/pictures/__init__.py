"""The pictures of a report. A file a question; each function draws one picture, or None where data is missing."""

from collections.abc import Callable, Sequence

import matplotlib as mpl

from ticketsmith.report.findings import Row
from ticketsmith.report.pictures.comparison import comparison
from ticketsmith.report.pictures.drawing import Picture
from ticketsmith.report.pictures.layers import layers
from ticketsmith.report.pictures.palette import STYLE
from ticketsmith.report.pictures.quality import closeup, frontier, quality
from ticketsmith.report.pictures.samples import samples
from ticketsmith.report.pictures.speed import speed
from ticketsmith.report.pictures.training import learning, losses, stopping
from ticketsmith.report.runs import Run

__all__ = ["Picture", "pictures_of", "pictures_of_all"]

_DRAWERS: tuple[Callable[[Run, Sequence[Row], str], Picture | None], ...] = (
    quality,
    closeup,
    frontier,
    learning,
    losses,
    stopping,
    layers,
    speed,
    samples,
)


def pictures_of(run: Run, table: Sequence[Row], prefix: str = "") -> list[Picture]:
    """Every picture one run has data for, in the order a report shows them; `prefix` begins their names."""
    with mpl.rc_context(STYLE):
        drawn = [draw(run, table, prefix) for draw in _DRAWERS]
    return [one for one in drawn if one]


def pictures_of_all(tables: Sequence[tuple[Run, Sequence[Row]]]) -> list[Picture]:
    """The picture that sets several runs side by side."""
    with mpl.rc_context(STYLE):
        drawn = comparison(tables)
    return [drawn] if drawn else []
