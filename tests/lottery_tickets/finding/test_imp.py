"""Iterative magnitude pruning trains, prunes to exact counts, rewinds, and refuses what would fool its user."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_tickets import is_subset, prunable, sparsity
from lottery_tickets.finding.imp import (
    Search,
    compute_iterative_magnitude_pruning,
    compute_one_shot_magnitude_pruning,
    schedule,
)


def nudge(model: nn.Module, mask: Any) -> None:
    """The least that counts as training."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01)
    mask.apply(model)


@given(target=st.floats(0, 0.999), rounds=st.integers(1, 30))
def test_the_schedule_is_geometric_and_ends_on_the_target(target: float, rounds: int) -> None:
    levels = schedule(target, rounds)
    assert len(levels) == rounds
    assert levels[-1] == target
    left = [1.0, *(1 - level for level in levels)]
    rates = [after / before for before, after in pairwise(left)]
    assert max(rates) - min(rates) < 1e-9


@settings(max_examples=15, deadline=None)
@given(
    target=st.floats(0.1, 0.97),
    rounds=st.integers(1, 4),
    scope=st.sampled_from(["global", "layer"]),
)
def test_counts_are_exact_and_every_training_begins_at_the_same_weights(
    target: float, rounds: int, scope: Any
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))
    began, masks = [], []

    def train_fn(network: nn.Module, mask: Any) -> None:
        assert network.training
        began.append({name: p.detach().clone() for name, p in network.named_parameters()})
        masks.append(dict(mask))
        network(torch.randn(16, 8))  # moves the batch norm's statistics
        nudge(network, mask)

    results = compute_iterative_magnitude_pruning(
        model, None, train_fn, target_sparsity=target, pruning_rounds=rounds, scope=scope
    )
    assert len(began) == rounds + 1
    assert results["kept"] == results["prunable"] - round(target * results["prunable"])
    for parameters, mask in zip(began, masks, strict=True):
        for name, weight in parameters.items():
            start = results["rewind_weights"][name]
            assert torch.equal(weight, start * mask[name] if name in mask else start)
    for before, after in pairwise(masks):
        assert is_subset(after, before)
    assert [one["kept"] for one in results["rounds"]] == [
        sum(int(m.sum()) for m in mask.values()) for mask in masks
    ]


def test_it_prunes_the_smallest_of_the_trained_weights_not_of_the_initial_ones() -> None:
    model = nn.Linear(10, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.arange(1.0, 11))

    def reverse(network: nn.Module, mask: Any) -> None:
        with torch.no_grad():
            network.get_parameter("weight").copy_(torch.arange(10.0, 0, -1))
        mask.apply(network)

    results = compute_iterative_magnitude_pruning(
        model, None, reverse, target_sparsity=0.5, pruning_rounds=1
    )
    assert results["mask"]["weight"].tolist() == [[True] * 5 + [False] * 5]
    one_shot = compute_one_shot_magnitude_pruning(model, target_sparsity=0.5, pruning_rounds=1)
    assert one_shot["mask"]["weight"].tolist() == [[False] * 5 + [True] * 5]


def test_real_training_finds_a_ticket(
    model: nn.Module, digits: Any, training: Any, eval_fn: Any
) -> None:
    def train_fn(network: nn.Module, mask: Any) -> None:
        training(network, mask, digits[0], epochs=6)

    results = compute_iterative_magnitude_pruning(
        model, None, train_fn, eval_fn, 0.8, 3, restore=False
    )
    quality = [one["quality"] for one in results["rounds"]]
    assert quality[0] > 0.8
    assert quality[-1] > quality[0] - 0.1
    assert eval_fn(model) == quality[-1]
    assert sparsity(results["mask"]) == 1 - results["kept"] / 2368
    assert results["kept"] == 2368 - round(0.8 * 2368)
    for name, weight in prunable(model).items():
        assert not weight[~results["mask"][name]].any()


def test_the_network_is_left_as_found(as_found: nn.Module, train_fn: Any, eval_fn: Any) -> None:
    compute_iterative_magnitude_pruning(as_found, None, train_fn, eval_fn, pruning_rounds=1)


def test_the_network_is_left_as_found_after_an_exception(as_found: nn.Module) -> None:
    def interrupted(model: nn.Module, mask: Any) -> None:
        nudge(model, mask)
        model.requires_grad_(False)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_iterative_magnitude_pruning(as_found, None, interrupted)


def test_one_shot_leaves_the_network_and_tells_what_it_is(
    as_found: nn.Module, digits: Any, eval_fn: Any
) -> None:
    results = compute_one_shot_magnitude_pruning(as_found, digits[1], eval_fn, 0.9, 3)
    assert "one-shot" in results["method"]
    assert "nothing" in results["rewind"]
    assert [one["seconds"] for one in results["rounds"]] == [0.0] * 4
    for one in results["rounds"]:
        assert one["accuracy"] == pytest.approx(one["quality"])


def test_a_late_step_is_reached_once_and_rewound_to(model: nn.Module) -> None:
    initial = model.get_parameter("0.weight").detach().clone()
    calls = []

    def late(network: nn.Module) -> None:
        calls.append(network)
        with torch.no_grad():
            network.get_parameter("0.weight").mul_(2)

    results = compute_iterative_magnitude_pruning(
        model, None, nudge, pruning_rounds=2, rewind_train_fn=late
    )
    assert calls == [model]
    assert "late" in results["rewind"]
    assert torch.equal(results["rewind_weights"]["0.weight"], 2 * initial)
    assert torch.equal(model.get_parameter("0.weight"), initial)


def test_given_weights_are_rewound_to(model: nn.Module) -> None:
    state = {name: torch.full_like(tensor, 0.5) for name, tensor in model.state_dict().items()}
    results = compute_iterative_magnitude_pruning(
        model, None, nudge, pruning_rounds=1, rewind_to=state
    )
    assert all(torch.equal(results["rewind_weights"][name], state[name]) for name in state)


def test_a_search_goes_on_where_it_stopped(model: nn.Module, train_fn: Any) -> None:
    kept: list[Search] = []
    calls = 0

    def counted(network: nn.Module, mask: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        train_fn(network, mask)

    with pytest.raises(KeyboardInterrupt):
        compute_iterative_magnitude_pruning(
            model, None, counted, pruning_rounds=3, after_round=kept.append
        )
    resumed = compute_iterative_magnitude_pruning(
        model, None, counted, pruning_rounds=3, resume=kept[-1]
    )
    assert calls == 5
    whole = compute_iterative_magnitude_pruning(model, None, train_fn, pruning_rounds=3)
    assert all(torch.equal(m, resumed["mask"][name]) for name, m in whole["mask"].items())
    assert [one["kept"] for one in resumed["rounds"]] == [one["kept"] for one in whole["rounds"]]


def test_tied_weights_are_pruned_once() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = model[0].weight
    results = compute_iterative_magnitude_pruning(
        model, None, nudge, target_sparsity=0.5, pruning_rounds=1, restore=False
    )
    assert list(results["mask"]) == ["0.weight"]
    assert int((model[1].weight == 0).sum()) == 18


def test_rates_and_exclusions_are_prunes_own(model: nn.Module) -> None:
    results = compute_iterative_magnitude_pruning(
        model,
        None,
        nudge,
        target_sparsity=0.2,
        pruning_rounds=1,
        scope="layer",
        rate_factors={"2": 0.5},
    )
    (lost0, lost2) = (of - kept for kept, of in results["rounds"][-1]["layers"].values())
    assert lost2 / 320 == pytest.approx(0.5 * lost0 / 2048, rel=0.05)
    only = compute_iterative_magnitude_pruning(model, None, nudge, pruning_rounds=1, exclude=["2"])
    assert list(only["mask"]) == ["0.weight"]
    assert only["parameters"] == 2048 + 32 + 320 + 10


def do_nothing(model: nn.Module, mask: Any) -> None:
    """Trains not at all."""


def forgetful(model: nn.Module, mask: Any) -> None:
    with torch.no_grad():
        model.get_parameter("0.weight").add_(1)


def diverging(model: nn.Module, mask: Any) -> None:
    with torch.no_grad():
        model.get_parameter("2.bias")[3] = torch.nan


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"train_fn": None}, "call compute_one_shot_magnitude_pruning"),
    ({"train_fn": do_nothing}, "changed no weight"),
    ({"train_fn": forgetful}, "after every optimizer.step"),
    ({"train_fn": diverging}, r"'2.bias' has nan at flat index 3 after train_fn in round 0"),
    ({"target_sparsity": 1.0}, r"target_sparsity is 1.0: use a fraction in \[0, 1\)"),
    ({"pruning_rounds": 0}, "pruning_rounds is 0"),
    ({"exclude": ["fc9"]}, "'fc9' matches no prunable weight"),
    ({"exclude": ["*"]}, "no weight can be pruned"),
    ({"rate_factors": {"0": 0, "2": 0}}, "cannot be reached"),
    ({"rewind_to": {"0.weight": torch.zeros(2, 2)}}, "rewind_to does not fit"),
    ({"rewind_to": {}, "rewind_train_fn": do_nothing}, "pass one of them"),
    ({"rewind_train_fn": lambda model: None}, "rewind_train_fn changed no weight"),
    ({"eval_fn": lambda model: None}, "eval_fn returned NoneType"),
    ({"eval_fn": lambda model: float("nan")}, "eval_fn is nan"),
    ({"dataloader": []}, "dataloader gave no batch"),
]


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_what_is_refused(model: nn.Module, given: dict[str, Any], sentence: str) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=sentence):
        compute_iterative_magnitude_pruning(model, **{"train_fn": nudge, **given})
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_an_unreachable_target_is_refused_before_anything_is_trained(model: nn.Module) -> None:
    def never(network: nn.Module, mask: Any) -> None:
        pytest.fail("trained")

    with pytest.raises(ValueError, match="cannot be reached"):
        compute_iterative_magnitude_pruning(model, None, never, rate_factors={"0": 0})


def test_a_network_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="'weight', 'bias' lie on the meta device"):
        compute_iterative_magnitude_pruning(nn.Linear(3, 3, device="meta"), None, nudge)
