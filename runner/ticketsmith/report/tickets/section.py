"""What a ticket report says of one result, in the order it is said; HTML and PDF only lay it out."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl

from ticketsmith.report.pictures.drawing import Picture
from ticketsmith.report.pictures.palette import STYLE
from ticketsmith.report.tables import Table
from ticketsmith.report.view import Fact
from ticketsmith.report.words import MISSING

P = ParamSpec("P")
R = TypeVar("R")

Result = Mapping[str, Any]
"""What a function of the pruning library returned."""


@dataclass(frozen=True, slots=True)
class Section:
    """One result, told."""

    name: str
    """As the caller named the result."""
    kind: str
    """What sort of result it is, in words."""
    sentence: str
    """What came out, in one sentence."""
    facts: tuple[Fact, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    method: tuple[str, ...] = ()
    """What the figures mean, a sentence or two each."""
    cautions: tuple[str, ...] = field(default=())


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in our style, and leave matplotlib's settings alone."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def slug(name: str) -> str:
    """A name fit for a file and for an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "result"


def figure(value: Any, digits: int = 4) -> str:
    """A number as a person reads it; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def layer_name(name: str, longest: int = 30) -> str:
    """A parameter's name without its ending, cut at the front if it is long: layers differ at the end."""
    short = name.removesuffix(".weight")
    return short if len(short) <= longest else "\N{HORIZONTAL ELLIPSIS}" + short[1 - longest :]
