"""Panels on the grid: 24 columns, rows of panels below headings."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, GridPos

from dashboards import links
from dashboards.panels import Panel

COLUMNS: Final = 24
_HEADINGS_FROM: Final = 1000
"""Ids of headings begin here: they come after those of all panels, and nobody links to them."""
Line = tuple[int, Sequence[tuple[Panel, int]]]
"""Its height, and its panels with their widths, which fill the grid."""


def dashboard(uid: str, title: str, description: str, since: str) -> Dashboard:
    """An empty one that shows the time from `since` until now."""
    empty = Dashboard(title).uid(uid).description(description).tags(["ticketsmith"])
    empty.editable().tooltip(DashboardCursorSync.CROSSHAIR).refresh("1m").timezone("browser")
    return empty.time(since, "now").links(list(links.at_the_top(uid)))


def place(onto: Dashboard, uid: str, sections: Sequence[tuple[str, Sequence[Line]]]) -> None:
    """Put sections below each other, each with its heading; every panel gets the runbooks that lead to it."""
    y = 0
    for number, (heading, section) in enumerate(sections):
        at = GridPos(x=0, y=y, w=COLUMNS, h=1)
        onto.with_row(Row(heading).id(_HEADINGS_FROM + number).grid_pos(at))
        y += 1
        for height, panels in section:
            if sum(width for _, width in panels) != COLUMNS:
                raise ValueError(f"the panels of a line below {heading!r} do not fill the grid")
            x = 0
            for panel, width in panels:
                built = panel.grid_pos(GridPos(x=x, y=y, w=width, h=height)).build()
                built.links = links.runbooks(uid, built.id_val or 0)
                onto.with_panel(panel)
                x += width
            y += height
