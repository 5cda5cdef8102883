"""The tickets that no other ticket beats in both sparsity and quality."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

LIMIT = 100
"""Points kept, the sparsest first to stay: the status must stay small."""


class Point(Protocol):
    """Anything with a sparsity and a quality, such as a ticket."""

    @property
    def sparsity(self) -> float: ...

    @property
    def metric(self) -> float: ...


P = TypeVar("P", bound=Point)


def pareto(points: Iterable[P], higher_is_better: bool) -> tuple[P, ...]:
    """The non-dominated points by rising sparsity; of equal ones the first given stays.

    A point is dominated if another is at least as good in both and better in one.
    """
    sign = 1.0 if higher_is_better else -1.0
    front: list[P] = []
    for point in sorted(points, key=lambda p: (-p.sparsity, -sign * p.metric)):
        if not front or sign * point.metric > sign * front[-1].metric:
            front.append(point)
    return tuple(reversed(front[:LIMIT]))
