"""What Grafana does with a dashboard's JSON: which panels there are, and what it asks Prometheus for each of them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

Document = Mapping[str, Any]
Value = str | Sequence[str]
"""Of a variable: one value, or several that were chosen. All is the variable's own text for it."""
_Answer = TypeVar("_Answer", covariant=True)
_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_REGEX_CHARACTERS: Final = re.compile(r"[\\^$.*+?()|\[\]{}]")


class Answering(Protocol[_Answer]):
    """Something that answers PromQL, at a moment or over a span of time, in Unix seconds."""

    def query(self, query: str, at: float) -> _Answer: ...

    def query_range(self, query: str, start: float, end: float, step: float) -> _Answer: ...


@dataclass(frozen=True)
class View:
    """A dashboard as somebody looks at it: from `start` to `end`, with these values of its variables."""

    start: float
    end: float
    chosen: Mapping[str, Value]
    scrape_seconds: float = 15.0
    points: int = 300
    """Points a curve has at most."""

    @property
    def step(self) -> float:
        """Seconds between two points of a curve: no less than Prometheus has."""
        return max(self.scrape_seconds, math.ceil((self.end - self.start) / self.points))

    def promql(self, expression: str) -> str:
        """An expression with its variables replaced. KeyError for one that is not chosen."""
        seconds = {
            "__range": self.end - self.start,
            "__interval": self.step,
            # Four scrapes at least, so that a rate has something to be taken of.
            "__rate_interval": max(self.step + self.scrape_seconds, 4 * self.scrape_seconds),
        }

        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if name in seconds:
                return f"{round(seconds[name])}s"
            return _written(self.chosen[name])

        return _VARIABLE.sub(value, expression)


def panels(dashboard: Document) -> list[Document]:
    """The panels that show something, in their order; headings are left out."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard: Document) -> dict[str, Document]:
    """The variables by name."""
    return {one["name"]: one for one in dashboard["templating"]["list"]}


def choose_all(dashboard: Document, name: str) -> str:
    """What stands in a query for `All` of a variable."""
    return str(variables(dashboard)[name]["allValue"])


def label_values(query: str) -> tuple[str, str]:
    """The selector and the label of a variable's query `label_values(selector, label)`."""
    found = re.fullmatch(r"label_values\((.+), *(\w+)\)", query)
    if found is None:
        raise ValueError(f"no query of a variable: {query}")
    return found[1], found[2]


def answer(prometheus: Answering[_Answer], view: View, target: Document) -> _Answer:
    """What Prometheus says to one target of a panel, asked as the target wants it: now, or over time."""
    promql = view.promql(target["expr"])
    if target.get("instant"):
        return prometheus.query(promql, view.end)
    return prometheus.query_range(promql, view.start, view.end, view.step)


def legend(target: Document, labels: Mapping[str, str]) -> str:
    """What a series of the answer is called."""
    form = target["legendFormat"]
    if form == "__auto":
        return ", ".join(value for name, value in sorted(labels.items()) if name != "__name__")
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda found: labels.get(found[1], ""), form)


def _written(value: Value) -> str:
    """One value as it is; several as a regular expression, as Grafana writes a variable that takes many."""
    if isinstance(value, str):
        return value
    escaped = [_REGEX_CHARACTERS.sub(r"\\\\\g<0>", one) for one in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
