"""Rank agreement: against scipy and against sets; and between optimizers that are told apart by nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import Tensor, nn

from lottery_tickets import compute_optimizer_agreement, compute_rank_agreement
from lottery_tickets.judging.agreement import _places

Frozen = Callable[[], bool]


def scores(seed: int, *shapes: tuple[int, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"layer{n}": torch.randn(shape, generator=generator) for n, shape in enumerate(shapes)}


def joined(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([one.reshape(-1).float() for one in tensors.values()])


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30), st.data())
def test_correlation_is_scipys_with_ties(one: list[int], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.integers(-3, 3), min_size=len(one), max_size=len(one)))
    if len(set(one)) == 1 or len(set(other)) == 1:
        return
    found = compute_rank_agreement(
        {"a": {"w": torch.tensor(one).float()}, "b": {"w": torch.tensor(other).float()}},
        sparsity=0.5,
        sample=None,
    )
    assert found["pairs"]["a / b"]["spearman"] == pytest.approx(spearmanr(one, other)[0], abs=1e-9)
    assert found["exact"]


def test_kept_weights_are_those_of_a_sort() -> None:
    one, other = scores(0, (7, 5), (40,)), scores(1, (7, 5), (40,))
    mixed = {name: tensor + other[name] for name, tensor in one.items()}
    found = compute_rank_agreement({"one": one, "other": other, "mixed": mixed}, sparsity=0.8)
    assert found["kept"] == 15
    assert found["chance_overlap"] == 15 / 75
    top = {
        name: set(joined(tensors).topk(15).indices.tolist())
        for name, tensors in (("one", one), ("other", other), ("mixed", mixed))
    }
    assert list(found["pairs"]) == ["one / other", "one / mixed", "other / mixed"]
    for pair, said in found["pairs"].items():
        a, b = pair.split(" / ")
        assert said["top_k_overlap"] == len(top[a] & top[b]) / 15
        assert said["excess_over_chance"] == pytest.approx(said["top_k_overlap"] - 0.2)
        i, j = found["names"].index(a), found["names"].index(b)
        assert found["spearman"][i, j] == found["spearman"][j, i] == said["spearman"]
    assert found["top_k_overlap"].diagonal().tolist() == [1, 1, 1]


def test_a_sample_is_the_same_for_all_and_close_to_the_whole() -> None:
    one = scores(0, (300, 100), (20_000,))
    near = {name: tensor + 0.5 * torch.randn(tensor.shape) for name, tensor in one.items()}
    whole = compute_rank_agreement({"a": one, "b": near}, sample=None)
    part = compute_rank_agreement({"a": one, "b": near, "again": one}, sample=5000)
    assert (whole["compared"], whole["exact"]) == (50_000, True)
    assert (part["compared"], part["exact"]) == (5000, False)
    assert part["pairs"]["a / again"] == {
        "spearman": pytest.approx(1),
        "top_k_overlap": 1.0,
        "excess_over_chance": pytest.approx(0.8),
    }
    sampled, all_ = part["pairs"]["a / b"], whole["pairs"]["a / b"]
    assert sampled["spearman"] == pytest.approx(all_["spearman"], abs=0.03)
    assert sampled["top_k_overlap"] == all_["top_k_overlap"]


def test_places_are_distinct_and_all_can_be_drawn() -> None:
    places = _places((1 << 24) + 5, 1000, 0)
    assert places is not None
    assert len(places.unique()) == 1000
    assert places.max() < (1 << 24) + 5
    assert _places(10, 10, 0) is None


def test_magnitude_of_weights_and_dtypes() -> None:
    one = scores(0, (50,))
    found = compute_rank_agreement(
        {"a": one, "b": {"layer0": -one["layer0"]}, "half": {"layer0": one["layer0"].bfloat16()}},
        absolute=True,
    )
    assert found["pairs"]["a / b"]["spearman"] == pytest.approx(1)
    assert found["pairs"]["a / half"]["spearman"] > 0.99


def test_equal_scores_have_no_correlation() -> None:
    found = compute_rank_agreement({"a": scores(0, (9,)), "b": {"layer0": torch.zeros(9)}})
    assert found["pairs"]["a / b"]["spearman"] != found["pairs"]["a / b"]["spearman"]


def test_wrong_sets_are_told() -> None:
    a = scores(0, (9,))
    with pytest.raises(ValueError, match=r"scores has 1 set\(s\): give at least two"):
        compute_rank_agreement({"a": a})
    with pytest.raises(ValueError, match="sets 'a' and 'b' differ in layer0"):
        compute_rank_agreement({"a": a, "b": scores(0, (8,))})
    with pytest.raises(ValueError, match="differ in layer1"):
        compute_rank_agreement({"a": a, "b": scores(0, (9,), (2,))})
    with pytest.raises(ValueError, match="sparsity is 1"):
        compute_rank_agreement({"a": a, "b": a}, sparsity=1)
    with pytest.raises(ValueError, match="sample is 1: use 2 or more"):
        compute_rank_agreement({"a": a, "b": a}, sample=1)
    with pytest.raises(ValueError, match="NaN"):
        compute_rank_agreement({"a": a, "b": {"layer0": torch.full((9,), float("nan"))}})


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.01),
}


def train(images: tuple[Tensor, Tensor]) -> Callable[[nn.Module, torch.optim.Optimizer], None]:
    inputs, targets = images

    def run(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(4):
            chosen = torch.randperm(len(inputs))[:8]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()

    return run


def test_optimizers_are_compared_from_one_start_and_under_one_seed(
    model: nn.Sequential, images: tuple[Tensor, Tensor], frozen: Frozen
) -> None:
    found = compute_optimizer_agreement(
        model, {**OPTIMIZERS, "again": OPTIMIZERS["sgd"]}, train(images)
    )
    assert frozen()
    assert len(found["names"]) == 6
    assert found["pairs"]["sgd, seed 0 / again, seed 0"]["top_k_overlap"] == 1
    assert found["pairs"]["sgd, seed 0 / adam, seed 0"]["spearman"] < 1
    assert found["pairs"]["sgd, seed 0 / sgd, seed 1"]["spearman"] < 1
    between = [
        found["pairs"][f"{a}, seed {seed} / {b}, seed {seed}"]["spearman"]
        for seed in (0, 1)
        for a, b in (("sgd", "adam"), ("sgd", "again"), ("adam", "again"))
    ]
    assert found["between_optimizers"]["spearman"] == pytest.approx(sum(between) / 6)
    within = [
        found["pairs"][f"{name}, seed 0 / {name}, seed 1"]["spearman"]
        for name in ("sgd", "adam", "again")
    ]
    assert found["within_optimizers"]["spearman"] == pytest.approx(sum(within) / 3)


def test_scores_of_ones_own_and_one_seed(
    model: nn.Sequential, images: tuple[Tensor, Tensor]
) -> None:
    found = compute_optimizer_agreement(
        model,
        OPTIMIZERS,
        train(images),
        seeds=[3],
        score_fn=lambda net: {
            n: w.detach().clone() for n, w in reversed(list(net.named_parameters())) if w.dim() > 1
        },
    )
    assert found["names"] == ["sgd", "adam"]
    assert found["within_optimizers"] is None
    with pytest.raises(ValueError, match="score_fn gives other weights"):
        compute_optimizer_agreement(model, OPTIMIZERS, train(images), score_fn=lambda _: {})


def test_what_goes_wrong_leaves_the_network(
    model: nn.Sequential, images: tuple[Tensor, Tensor], frozen: Frozen
) -> None:
    def failing(given: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        train(images)(given, optimizer)
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        compute_optimizer_agreement(model, OPTIMIZERS, failing)
    assert frozen()
    with pytest.raises(ValueError, match="make no two different trainings"):
        compute_optimizer_agreement(model, {"sgd": OPTIMIZERS["sgd"]}, failing, seeds=[0])
    with pytest.raises(ValueError, match="make no two different trainings"):
        compute_optimizer_agreement(model, OPTIMIZERS, failing, seeds=[1, 1])
