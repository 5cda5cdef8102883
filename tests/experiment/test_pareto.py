"""pareto: what no other ticket beats in both sparsity and quality."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketsmith.experiment.pareto import LIMIT, pareto
from ticketsmith.experiment.status import ParetoPoint


def points(*pairs: tuple[float, float]) -> list[ParetoPoint]:
    return [ParetoPoint(round=f"r{i}", sparsity=s, metric=m) for i, (s, m) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("given_points", "higher", "front"),
    [
        ([], True, []),
        ([(0.5, 0.9)], True, ["r0"]),
        ([(0.5, 0.9), (0.8, 0.8)], True, ["r0", "r1"]),
        ([(0.5, 0.8), (0.8, 0.9)], True, ["r1"]),
        ([(0.5, 0.9), (0.8, 0.9)], True, ["r1"]),  # as good and sparser
        ([(0.5, 0.9), (0.5, 0.8)], True, ["r0"]),
        ([(0.5, 0.9), (0.5, 0.9)], True, ["r0"]),  # equal: the first given
        ([(0.5, 0.3), (0.8, 0.2)], False, ["r1"]),  # loss: lower is better
        ([(0.5, 0.2), (0.8, 0.3)], False, ["r0", "r1"]),
        ([(0.9, 0.7), (0.1, 0.9), (0.5, 0.8), (0.4, 0.75)], True, ["r1", "r2", "r0"]),
    ],
)
def test_front(given_points: list[tuple[float, float]], higher: bool, front: list[str]) -> None:
    assert [p.round for p in pareto(points(*given_points), higher)] == front


def test_the_front_is_cut_to_its_sparsest_points() -> None:
    front = pareto(points(*((i / 200, 1 - i / 200) for i in range(150))), True)
    assert len(front) == LIMIT
    assert front[-1].sparsity == 149 / 200


def beats(one: ParetoPoint, other: ParetoPoint) -> bool:
    as_good = one.sparsity >= other.sparsity and one.metric >= other.metric
    return as_good and (one.sparsity, one.metric) != (other.sparsity, other.metric)


grid = st.integers(0, 9).map(lambda n: n / 10)


@given(st.lists(st.tuples(grid, grid), max_size=40))
def test_exactly_the_unbeaten_are_on_the_front(pairs: list[tuple[float, float]]) -> None:
    everything = points(*pairs)
    front = pareto(everything, True)
    unbeaten = {
        (p.sparsity, p.metric) for p in everything if not any(beats(q, p) for q in everything)
    }
    assert {(p.sparsity, p.metric) for p in front} == unbeaten
    assert len(front) == len(unbeaten)
