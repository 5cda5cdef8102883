"""From a matplotlib figure to what a page needs: SVG that follows the colour scheme, and PNG bytes."""

import io
import re
from dataclasses import dataclass

from matplotlib.figure import Figure

from ticketsmith.report.pictures.palette import VARIABLES

PNG_DPI = 200
_ID = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'(xlink:href="#|url\(#)([^")]+)')


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn figure, in both forms."""

    name: str
    """File name without its ending."""
    title: str
    alt: str
    """What it shows, in words, for those who cannot see it."""
    caption: str
    svg: str
    """An <svg> element, colours as CSS variables; for inlining only."""
    png: bytes
    """On white, at PNG_DPI."""


def picture(name: str, title: str, alt: str, caption: str, figure: Figure) -> Picture:
    """Render `figure` both ways; equal figures give equal bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it is laid out now; each form would do it again
    return Picture(name, title, alt, caption, _svg(figure, name, alt), _png(figure))


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(
        stream, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None}
    )
    return stream.getvalue()


def _svg(figure: Figure, name: str, alt: str) -> str:
    stream = io.StringIO()
    figure.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = _own_ids(svg, name)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    width, height = (f"{72 * inches:g}" for inches in figure.get_size_inches())
    return re.sub(
        r"<svg [^>]*>",
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{_attribute(alt)}">',
        svg,
        count=1,
    )


def _own_ids(svg: str, name: str) -> str:
    """Only ids that are referred to, each beginning with the picture's name: a page holds several pictures."""
    wanted = {reference for _, reference in _REFERENCE.findall(svg)}
    svg = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in wanted else "", svg)
    return _REFERENCE.sub(rf"\g<1>{name}-\g<2>", svg)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
