"""Numbers as Grafana writes them, for the units that the dashboards use."""

from collections.abc import Callable, Mapping
from typing import Final

_DURATIONS: Final = ((86400.0, "day"), (3600.0, "hour"), (60.0, "min"), (1.0, "s"))


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit. ValueError for a unit that is not known here."""
    if unit.startswith("suffix:"):
        return _plain(value, decimals) + unit.removeprefix("suffix:")
    if unit not in _UNITS:
        raise ValueError(f"no panel has had the unit {unit!r} yet: say how it is written")
    return _UNITS[unit](value, decimals)


def _plain(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value / 1000:.3g} K"
    return f"{value:.3g}"


def _ratio(value: float, decimals: int | None) -> str:
    return f"{_plain(100 * value, decimals)}%"


def _seconds(value: float, decimals: int | None) -> str:
    if 0 < abs(value) < 1:
        return f"{_plain(1000 * value, decimals)} ms"
    for size, name in _DURATIONS:
        if abs(value) >= size:
            return f"{_plain(value / size, decimals)} {name}"
    return "0 s"


def _writes(value: float, decimals: int | None) -> str:
    return f"{_plain(value, decimals)} wr/s"


_UNITS: Final[Mapping[str, Callable[[float, int | None], str]]] = {
    "percentunit": _ratio,
    "s": _seconds,
    "short": _plain,
    "none": _plain,
    "wps": _writes,
}
