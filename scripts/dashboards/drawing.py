"""A panel of a dashboard's JSON, drawn with matplotlib from what Prometheus answers. Close to Grafana, not the same."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Final

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle, Wedge
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from dashboards.shown import COLOURS, FAINT, GRID, INK, Drawn, Shown
from dashboards.units import written

_SMALL: Final = 8.0
_TIME_STEPS: Final = (
    *(factor * ten for ten in (0.001, 0.01, 0.1) for factor in (1, 2.5, 5)),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400, 604800),
)
"""Seconds between two marks of an axis that shows time."""


def draw(ax: Axes, shown: Shown) -> None:
    """Draw it on axes that fill the panel below its title."""
    kinds = {
        "stat": _number,
        "gauge": _dials,
        "bargauge": _bars,
        "table": _table,
        "timeseries": _curves,
        "trend": _trend,
    }
    kinds[shown.panel["type"]](ax, shown)


def _empty(ax: Axes, shown: Shown) -> None:
    ax.set_axis_off()
    text = shown.defaults["noValue"]
    ax.text(0.5, 0.5, text, ha="center", va="center", color=FAINT, size=13, transform=ax.transAxes)


def _number(ax: Axes, shown: Shown) -> None:
    found = shown.series()
    if not found:
        return _empty(ax, shown)
    ax.set_axis_off()
    options = shown.panel["options"]
    one = found[0]
    colour = INK if options["colorMode"] == "none" else shown.colour_of(one.value)
    shows = options["textMode"]
    ax.set(xlim=(0, 1), ylim=(0, 1))
    text = one.name if shows == "name" else shown.text(one.value)
    ax.text(0.5, 0.5, text, size=19, weight="bold", color=colour, ha="center", va="center")
    if shows == "value_and_name":
        ax.text(0.5, 0.08, one.name, size=_SMALL + 1, color=FAINT, ha="center", va="center")
    return None


def _dials(ax: Axes, shown: Shown) -> None:
    found = shown.series()
    if not found:
        return _empty(ax, shown)
    ax.set_axis_off()
    ax.set_aspect("equal")
    apart = 2.8
    ax.set(xlim=(-1.25, 1.25 + apart * (len(found) - 1)), ylim=(-0.5, 1.1))
    named = len(found) > 1
    for x, one in zip(count(0.0, apart), found, strict=False):
        full = 180.0
        part = full * min(max(one.value, 0.0), 1.0)
        colour = shown.colour_of(one.value)
        for begin, end, shade in ((0.0, full, GRID), (full - part, full, colour)):
            ax.add_patch(Wedge((x, 0), 1.0, begin, end, width=0.24, color=shade, lw=0))
        text = shown.text(one.value)
        ax.text(x, 0.02, text, ha="center", size=17, weight="bold", color=colour)
        if named:
            ax.text(x, -0.3, one.name, ha="center", size=_SMALL + 1, color=FAINT)
    return None


def _bars(ax: Axes, shown: Shown) -> None:
    found = shown.series()
    if not found:
        return _empty(ax, shown)
    most = max(one.value for one in found) or 1.0
    colour = COLOURS[shown.defaults["color"]["fixedColor"]]
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(len(found), 0))
    for row, one in enumerate(found):
        ax.add_patch(Rectangle((0, row + 0.46), 1, 0.34, color=GRID, lw=0))
        ax.add_patch(Rectangle((0, row + 0.46), one.value / most, 0.34, color=colour, lw=0))
        ax.text(0, row + 0.22, one.name, size=_SMALL + 0.5, color=INK, va="center")
        text = shown.text(one.value)
        ax.text(
            1, row + 0.22, text, size=_SMALL + 2, weight="bold", color=INK, va="center", ha="right"
        )
    return None


def _table(ax: Axes, shown: Shown) -> None:
    fields, lines = _merged(shown)
    if not lines:
        return _empty(ax, shown)
    ax.set_axis_off()
    heads = [str(shown.override(field, "displayName")) for field in fields]
    texts = [[_cell(shown, field, line.get(field)) for field in fields] for line in lines]
    widths = [max(len(row[n]) for row in [heads, *texts]) + 2 for n in range(len(fields))]
    ends = [sum(widths[: n + 1]) / sum(widths) for n in range(len(fields))]
    ax.set(xlim=(0, 1), ylim=(max(len(lines), 5) + 1, 0))
    for number, row in enumerate([heads, *texts]):
        for n, text in enumerate(row):
            right = fields[n].startswith("Value")
            x = ends[n] - 0.012 if right else (ends[n - 1] if n else 0) + 0.004
            linked = number and shown.override(fields[n], "links")
            colour = FAINT if not number else COLOURS["blue"] if linked else INK
            ax.text(
                x,
                number + 0.5,
                text,
                size=_SMALL + 1,
                va="center",
                ha="right" if right else "left",
                color=colour,
                weight="bold" if not number else "normal",
            )
        ax.axhline(number + 1, color=GRID, lw=0.8)
    return None


def _merged(shown: Shown) -> tuple[list[str], list[dict[str, str | float]]]:
    """The table that the answers make when rows with equal labels become one, as `merge` does; its columns in order."""
    order = shown.transformation("organize")["indexByName"]
    fields = sorted(order, key=order.get)
    shared = [
        field
        for field in fields
        if all(field in one.labels for _, found in shown.found for one in found)
    ]
    lines: dict[tuple[str, ...], dict[str, str | float]] = {}
    for target, found in shown.found:
        for one in found:
            line = lines.setdefault(tuple(one.labels[field] for field in shared), {})
            line |= {name: value for name, value in one.labels.items() if name in fields}
            line[f"Value #{target['refId']}"] = one.samples[-1][1]
    sort = shown.panel["options"]["sortBy"][0]
    heads = {shown.override(field, "displayName"): field for field in fields}
    by = heads[sort["displayName"]]
    return fields, sorted(lines.values(), key=lambda line: line[by], reverse=sort["desc"])


def _cell(shown: Shown, field: str, value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    unit = shown.override(field, "unit") or shown.defaults["unit"]
    return written(value, unit, shown.override(field, "decimals"))


def _curves(ax: Axes, shown: Shown) -> None:
    found = shown.series()
    if not found:
        return _empty(ax, shown)
    custom = shown.defaults["custom"]
    if custom.get("stacking", {}).get("mode") == "normal":
        times = sorted({moment for one in found for moment, _ in one.series.samples})
        values = [[dict(one.series.samples).get(moment, 0.0) for moment in times] for one in found]
        ax.stackplot(times, values, colors=[one.colour for one in found], alpha=0.55, lw=0)
        top = max((sum(column) for column in zip(*values, strict=True)), default=0.0)
    else:
        for one in found:
            for piece in _pieces(one.series.samples, shown.view.step):
                mark = "o" if len(piece) == 1 else None
                ax.plot(*zip(*piece, strict=True), color=one.colour, lw=1.8, marker=mark, ms=3)
        top = max(
            (v for one in found for _, v in one.series.samples if math.isfinite(v)), default=0.0
        )
        for step in shown.defaults.get("thresholds", {}).get("steps", [])[1:]:
            if step["value"] <= 4 * top:
                ax.axhline(step["value"], color=COLOURS[step["color"]], lw=1, ls=(0, (5, 4)))
                top = max(top, step["value"])
    ax.set_ylim(0, 1.12 * top or 1.0)
    start, end = shown.view.start, shown.view.end
    ax.set_xlim(start, end)
    _dress(ax, shown, found)
    step = next(one for one in _TIME_STEPS if one >= 60 and (end - start) / one <= 8)
    ax.xaxis.set_major_locator(MultipleLocator(step))
    ax.xaxis.set_major_formatter(FuncFormatter(_clock))
    return None


def _clock(moment: float, _: int | None) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M")


def _pieces(
    samples: Sequence[tuple[float, float]], step: float
) -> Iterator[list[tuple[float, float]]]:
    """Each stretch without a hole."""
    piece: list[tuple[float, float]] = []
    for moment, value in samples:
        if not math.isfinite(value):
            continue
        if piece and moment - piece[-1][0] > 1.5 * step:
            yield piece
            piece = []
        piece.append((moment, value))
    if piece:
        yield piece


def _trend(ax: Axes, shown: Shown) -> None:
    (_, horizontal), *others = shown.found
    if not horizontal or not any(found for _, found in others):
        return _empty(ax, shown)
    x = {one.labels["level"]: one.samples[-1][1] for one in horizontal}
    names = shown.transformation("organize")["renameByName"]
    drawn = []
    for target, found in others:
        if found:
            name = names[f"Value #{target['refId']}"]
            colour = COLOURS[shown.override(name, "color")["fixedColor"]]
            points = sorted((x[one.labels["level"]], one.samples[-1][1]) for one in found)
            ax.plot(*zip(*points, strict=True), color=colour, lw=1.8, marker="o", ms=5)
            drawn.append(Drawn(name, colour, found[0]))
    name = shown.panel["options"]["xField"]
    unit = shown.override(name, "unit")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit)))
    ax.set_xlabel(name, size=_SMALL, color=FAINT)
    ax.margins(y=0.12)
    _dress(ax, shown, drawn)
    return None


def _dress(ax: Axes, shown: Shown, drawn: Sequence[Drawn]) -> None:
    """Axes, grid and legend."""
    whole = shown.defaults["unit"] == "short" and shown.defaults.get("decimals") == 0
    low, high = ax.get_ylim()
    step = next((one for one in _TIME_STEPS if (high - low) / one <= 5), None)
    if shown.defaults["unit"] == "s" and step is not None:
        ax.yaxis.set_major_locator(MultipleLocator(step))
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=whole))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown.text(value)))
    ax.xaxis.set_major_locator(MaxNLocator(8))
    ax.tick_params(labelsize=_SMALL, colors=FAINT, length=0)
    ax.grid(color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)
    handles = [Rectangle((0, 0), 1, 1, color=one.colour) for one in drawn]
    names = [textwrap.shorten(one.name, 48, placeholder="…") for one in drawn]
    ax.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.13),
        ncols=min(len(names), 4),
        fontsize=_SMALL,
        frameon=False,
        labelcolor=INK,
        handlelength=1.2,
        handleheight=0.35,
        columnspacing=1.4,
    )
