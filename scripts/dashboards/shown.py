"""A panel of a dashboard's JSON with what Prometheus answers: names, colours and texts of its series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, Protocol

from dashboards.grafana import Answering, Document, View, answer, legend
from dashboards.units import written

COLOURS: Final = {
    "green": "#3f9142",
    "yellow": "#d9a300",
    "orange": "#e8710a",
    "red": "#d1293d",
    "blue": "#2f6fdb",
    "purple": "#8f4fc3",
}
_OTHERS: Final = (
    "#2f6fdb",
    "#e8710a",
    "#3f9142",
    "#8f4fc3",
    "#1aa1b5",
    "#d1293d",
    "#7a7f87",
    "#d9a300",
)
INK: Final = "#23272f"
FAINT: Final = "#6b7280"
GRID: Final = "#e5e7eb"


class Series(Protocol):
    """One series of an answer."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def samples(self) -> tuple[tuple[float, float], ...]: ...


@dataclass(frozen=True)
class Drawn:
    """A series with the name and the colour it has in its panel."""

    name: str
    colour: str
    series: Series

    @property
    def value(self) -> float:
        """The latest value."""
        return self.series.samples[-1][1]


@dataclass(frozen=True)
class Shown:
    """A panel with what Prometheus answers, and how its numbers are written."""

    panel: Document
    view: View
    found: Sequence[tuple[Document, Sequence[Series]]]

    @classmethod
    def of(cls, panel: Document, prometheus: Answering[Sequence[Series]], view: View) -> "Shown":
        """Ask everything that the panel asks."""
        found = [(target, answer(prometheus, view, target)) for target in panel["targets"]]
        return cls(panel, view, found)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What holds for all its fields."""
        return dict(self.panel["fieldConfig"]["defaults"])

    def text(self, value: float) -> str:
        """A number as the panel writes it."""
        return written(value, self.defaults["unit"], self.defaults.get("decimals"))

    def override(self, field: str, prop: str) -> Any:
        """What a field has instead; None if nothing."""
        for override in self.panel["fieldConfig"].get("overrides", ()):
            if override["matcher"]["options"] == field:
                for one in override["properties"]:
                    if one["id"] == prop:
                        return one["value"]
        return None

    def transformation(self, kind: str) -> Mapping[str, Any]:
        """The options of its transformation of that kind."""
        [found] = [one for one in self.panel["transformations"] if one["id"] == kind]
        return dict(found["options"])

    def series(self) -> list[Drawn]:
        """Everything that was answered, named and coloured."""
        others = cycle(_OTHERS)
        return [
            Drawn(name, self._colour(name) or next(others), one)
            for target, answered in self.found
            for one in answered
            for name in [legend(target, one.labels)]
        ]

    def colour_of(self, value: float) -> str:
        """By the thresholds."""
        steps = self.defaults["thresholds"]["steps"]
        reached = [
            step["color"] for step in steps if step["value"] is None or value >= step["value"]
        ]
        return COLOURS[reached[-1]]

    def _colour(self, name: str) -> str | None:
        fixed = self.override(name, "color")
        return None if fixed is None else COLOURS[fixed["fixedColor"]]
