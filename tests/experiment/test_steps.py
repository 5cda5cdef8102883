"""steps: order, names and parents."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.steps import steps


def names(experiment: PruningExperiment) -> list[str]:
    return [step.name for step in steps(experiment.spec)]


def test_order_is_level_major_then_seed_with_tickets_before_controls(
    make_experiment: Callable[..., Any],
) -> None:
    asked = make_experiment(
        seeds=[0, 7], controls=["reinit", "random"], benchmark={"batchSizes": [1]}
    )
    assert names(asked) == [
        "dense-s0", "dense-s7",
        "ticket-s0-l01", "ticket-s7-l01",
        "reinit-s0-l01", "random-s0-l01", "reinit-s7-l01", "random-s7-l01",
        "ticket-s0-l02", "ticket-s7-l02",
        "reinit-s0-l02", "random-s0-l02", "reinit-s7-l02", "random-s7-l02",
        "benchmark", "report",
    ]  # fmt: skip


def test_without_controls_or_benchmark_only_the_report_follows(
    make_experiment: Callable[..., Any],
) -> None:
    assert names(make_experiment()) == ["dense-s0", "ticket-s0-l01", "ticket-s0-l02", "report"]


@pytest.mark.parametrize(
    ("method", "parents"),
    [("iterative", ("dense-s0", "ticket-s0-l01")), ("oneShot", ("dense-s0",))],
)
def test_what_a_ticket_is_scored_on(
    make_experiment: Callable[..., Any], method: str, parents: tuple[str, ...]
) -> None:
    found = {s.name: s for s in steps(make_experiment(pruning={"method": method}).spec)}
    assert found["ticket-s0-l01"].parents == ("dense-s0",)
    assert found["ticket-s0-l02"].parents == parents


def test_controls_hang_on_their_own_level_s_ticket(make_experiment: Callable[..., Any]) -> None:
    found = {s.name: s for s in steps(make_experiment(controls=["random"]).spec)}
    assert found["random-s0-l02"].parents == ("dense-s0", "ticket-s0-l02")
    assert found["random-s0-l02"].sparsity == found["ticket-s0-l02"].sparsity == 0.8


def test_parents_precede_children_and_names_are_unique(make_experiment: Callable[..., Any]) -> None:
    asked = make_experiment(
        seeds=list(range(5)),
        sparsities={"rate": 0.1, "levels": 40},
        controls=["reinit", "random"],
        benchmark={},
    )
    seen: set[str] = set()
    for step in steps(asked.spec):
        assert set(step.parents) <= seen
        assert step.name not in seen
        seen.add(step.name)
    assert len(seen) == 5 * (1 + 40 * 3) + 2


@pytest.mark.parametrize(
    ("sparsities", "ladder"),
    [
        ({"rate": 0.2, "levels": 3}, (0.2, 0.36, 0.488)),
        ({"targets": [0.5, 0.8, 0.9]}, (0.5, 0.8, 0.9)),
        ({"final": 0.9, "levels": 1}, (0.9,)),
        ({"final": 0.75, "levels": 2}, (0.5, 0.75)),
    ],
)
def test_ladders(
    make_experiment: Callable[..., Any], sparsities: dict[str, Any], ladder: tuple[float, ...]
) -> None:
    asked = make_experiment(sparsities=sparsities)
    assert asked.spec.sparsities.ladder() == pytest.approx(ladder)
    tickets = [s.sparsity for s in steps(asked.spec) if s.arm == "ticket"]
    assert tickets == pytest.approx(ladder)


def test_final_is_reached_exactly(make_experiment: Callable[..., Any]) -> None:
    ladder = make_experiment(sparsities={"final": 0.9, "levels": 7}).spec.sparsities.ladder()
    assert ladder[-1] == 0.9
    left = [1.0, *(1.0 - s for s in ladder)]
    kept = [after / before for before, after in itertools.pairwise(left)]
    assert kept == pytest.approx([kept[0]] * 7)
