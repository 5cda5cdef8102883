"""The report as one HTML file that asks nobody for anything: styles and pictures inside, no scripts."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ticketsmith.report.pictures import Picture
from ticketsmith.report.tables import Table
from ticketsmith.report.view import View
from ticketsmith.report.words import MISSING


def page(
    views: Sequence[View], heading: str, overview: Table | None, together: Sequence[Picture]
) -> str:
    """Lay out one or several runs."""
    return lay_out(
        "report.html.j2", views=views, heading=heading, overview=overview, together=together
    )


def lay_out(template: str, **content: Any) -> str:
    """Fill in one of our templates. All text is escaped; only our own SVG and CSS go in as they are."""
    templates = Environment(
        loader=PackageLoader("ticketsmith.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["trusted"] = Markup
    style = files("ticketsmith.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    return templates.get_template(template).render(**content, style=style, missing=MISSING)
