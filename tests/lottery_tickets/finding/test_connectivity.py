"""Barriers between networks, and the step from which there are none."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lottery_tickets import prune
from lottery_tickets.finding.connectivity import (
    compute_error_barrier,
    earliest_stable_rewind_step,
    interpolated,
)


class Point(nn.Module):
    """A network of one weight, whose error is a function of it."""

    def __init__(self, at: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([at], dtype=dtype))
        self.register_buffer("steps", torch.tensor(3))


def hill(model: nn.Module) -> float:
    """0 at -1 and +1, 1 at 0."""
    return 1 - float(model.get_parameter("weight").detach()) ** 2


def test_a_hill_between_two_valleys() -> None:
    model = Point(0.25)
    found = compute_error_barrier(model, Point(-1.0), Point(1.0), hill, points=5)
    assert found["alphas"] == [0, 0.25, 0.5, 0.75, 1]
    assert found["errors"] == [0, 0.75, 1, 0.75, 0]
    assert (found["barrier"], found["ends"], found["worst_alpha"]) == (1, 0, 0.5)
    assert model.weight.item() == 0.25


def test_the_mean_of_the_ends_is_taken_off() -> None:
    found = compute_error_barrier(Point(), Point(-1.0), Point(0.0), hill, points=3)
    assert (found["barrier"], found["ends"]) == (0.5, 0.5)


def test_a_network_and_itself_have_no_barrier(model: nn.Module, eval_fn: Any) -> None:
    found = compute_error_barrier(model, model, model.state_dict(), eval_fn, points=4)
    assert found["barrier"] == 0
    assert len(set(found["errors"])) == 1


@given(alpha=st.floats(0, 1), dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_the_line_is_exact_at_its_ends_and_straight_between(
    alpha: float, dtype: torch.dtype
) -> None:
    drawn = torch.Generator().manual_seed(0)
    a, b = ({"w": torch.randn(50, generator=drawn).to(dtype), "n": torch.tensor(i)} for i in (1, 2))
    for end, state in ((0.0, a), (1.0, b)):
        assert torch.equal(interpolated(a, b, end)["w"], state["w"])
    between = interpolated(a, b, alpha)
    assert between["w"].dtype == dtype
    assert int(between["n"]) == 1
    expected = (1 - alpha) * a["w"].double() + alpha * b["w"].double()
    torch.testing.assert_close(between["w"].double(), expected, rtol=1e-2, atol=1e-2)


def test_statistics_are_recomputed_over_the_data_alike() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[0].momentum = 0.3
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    data = [torch.randn(8, 2) + i for i in range(3)]
    seen: list[torch.Tensor] = []

    def error(network: nn.Module) -> float:
        seen.append(network.get_buffer("0.running_mean").clone())
        return 0.0

    compute_error_barrier(
        model, model, model, error, points=3, statistics="recompute", dataloader=data
    )
    for mean in seen:
        torch.testing.assert_close(mean, torch.stack(data).mean((0, 1)))
    assert model[0].momentum == 0.3
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    compute_error_barrier(model, model, model, error, points=3)
    assert torch.equal(seen[-1], before["0.running_mean"])


def test_the_network_is_left_as_found(as_found: nn.Module, eval_fn: Any) -> None:
    compute_error_barrier(as_found, as_found, as_found, eval_fn, points=3)


def reach(model: nn.Module, start: int, stop: int) -> None:
    with torch.no_grad():
        model.get_parameter("weight").add_(0.1 * (stop - start))


def settle(model: nn.Module, mask: Any, step: int, order: int) -> None:
    """Ends at +-1 by the order of the data, until the weight is far enough from the middle."""
    with torch.no_grad():
        weight = model.get_parameter("weight")
        side = 1.0 if float(weight) > 0.35 or order % 2 else -1.0
        weight.fill_(side * (1 - 0.001 * order))


def test_the_earliest_stable_step() -> None:
    model = Point(0.0)
    found = earliest_stable_rewind_step(model, [0, 2, 4, 8], reach, settle, hill, points=5)
    assert found["step"] == 4
    assert [one["step"] for one in found["tested"]] == [0, 2, 4]
    assert [one["barrier"] > 0.9 for one in found["tested"]] == [True, True, False]
    assert model.weight.item() == 0
    every = earliest_stable_rewind_step(
        model, [0, 2, 4, 8], reach, settle, hill, points=5, test_all=True, pairs=2
    )
    assert every["step"] == 4
    assert [len(one["barriers"]) for one in every["tested"]] == [2] * 4
    none = earliest_stable_rewind_step(model, [0, 2], reach, settle, hill, points=5)
    assert none["step"] is None


def test_real_trainings_of_a_ticket(
    model: nn.Module, digits: Any, training: Any, eval_fn: Any
) -> None:
    mask = prune(model, target_sparsity=0.5)

    class Everything:
        def apply(self, network: nn.Module) -> None:
            """The dense network."""

    def reach_fn(network: nn.Module, start: int, stop: int) -> None:
        training(network, Everything(), digits[0][: stop - start], epochs=1)

    def train_fn(network: nn.Module, given: Any, step: int, order: int) -> None:
        training(network, given, digits[0][step:], order=order)

    found = earliest_stable_rewind_step(
        model,
        [0, 5],
        reach_fn,
        train_fn,
        lambda network: 1 - eval_fn(network),
        mask=mask,
        points=5,
        threshold=0.5,
        test_all=True,
    )
    assert found["step"] == 0
    assert all(0 <= one["barrier"] < 0.5 for one in found["tested"])


def deaf(model: nn.Module, mask: Any, step: int, order: int) -> None:
    with torch.no_grad():
        model.get_parameter("weight").add_(1)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"steps": [4, 2]}, r"steps is \[4, 2\]"),
    ({"steps": []}, "steps is"),
    ({"pairs": 0}, "pairs is 0"),
    ({"train_fn": deaf}, "let `order` seed the shuffling"),
    ({"points": 2}, "points is 2"),
    ({"statistics": "guess"}, "statistics is 'guess'"),
    ({"statistics": "recompute"}, "pass dataloader"),
    ({"error_fn": lambda model: "bad"}, "error_fn returned str"),
]


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_what_is_refused(given: dict[str, Any], sentence: str) -> None:
    usual = {"steps": [0, 1], "reach_fn": reach, "train_fn": settle, "error_fn": hill}
    model = Point(0.0)
    with pytest.raises(ValueError, match=sentence):
        earliest_stable_rewind_step(model, **{**usual, **given})
    assert model.weight.item() == 0


def test_networks_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="second does not fit the network: 'weight' is missing"):
        compute_error_barrier(Point(), Point(), {"steps": torch.tensor(1)}, hill)
