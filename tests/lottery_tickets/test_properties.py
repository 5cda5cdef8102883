"""What holds for every network, score and scope: random networks, of any mix of layers and of each dtype."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery_tickets import PruningMask, apply, counts, is_subset, prunable, prune
from lottery_tickets.levels import Scope
from lottery_tickets.masks import Mask

SCOPES: tuple[Scope, ...] = ("global", "layer", "uniform", "erk", "lamp")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Drawn:
    model: nn.Module
    tied: bool
    """Whether the weights have many equal magnitudes."""

    @property
    def total(self) -> int:
        return sum(weight.numel() for weight in prunable(self.model).values())


def layer(kind: str, one: int, other: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(one, other)
    if kind == "conv":
        return nn.Conv2d(one, other, 3)
    if kind == "depthwise":
        return nn.Conv1d(one, one, 3, groups=one)
    if kind == "transposed":
        return nn.ConvTranspose1d(one, other, 2)
    return nn.Sequential(nn.Linear(one, other, bias=False), nn.LayerNorm(other), nn.Dropout())


@st.composite
def networks(draw: st.DrawFn) -> Drawn:
    kinds = st.sampled_from(["linear", "conv", "depthwise", "transposed", "block"])
    sizes = st.integers(1, 7)
    parts = [layer(draw(kinds), draw(sizes), draw(sizes)) for _ in range(draw(st.integers(1, 4)))]
    if draw(st.booleans()):
        parts.append(parts[0])  # a module used twice
    if draw(st.booleans()):
        head, embedding = nn.Linear(4, 9), nn.Embedding(9, 4)
        head.weight = embedding.weight
        parts += [head, embedding]
    model = nn.Sequential(*parts).to(draw(st.sampled_from(DTYPES)))
    if draw(st.booleans()):
        parts[0].to(torch.float32)  # mixed
    tied = draw(st.booleans())
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(values.mul(2).round() if tied else values)
    for parameter in model.parameters():
        parameter.requires_grad_(draw(st.booleans()))
    return Drawn(model, tied)


drawn = networks().filter(lambda one: one.total > 1)
fractions = st.floats(0, 0.98)
quick = settings(max_examples=40, deadline=None)


def attempt(network: Drawn, target: float, scope: Scope, mask: Mask | None = None) -> Mask:
    """Pruned to what can be reached, which is not the last weight."""
    return prune(
        network.model,
        target_sparsity=min(target, (network.total - 1) / network.total),
        scope=scope,
        mask=mask,
    )


def same(one: Mask, other: Mask) -> bool:
    return list(one) == list(other) and PruningMask(one) == other


@pytest.mark.parametrize("scope", SCOPES)
@quick
@given(network=drawn, target=fractions)
def test_exactly_as_many_and_the_network_stays(scope: Scope, network: Drawn, target: float) -> None:
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in network.model.parameters()]
    mask = attempt(network, target, scope)
    kept = sum(left for left, _ in counts(mask).values())
    assert kept == max(1, network.total - round(target * network.total))
    assert list(mask) == list(prunable(network.model))
    assert all(mask[n].shape == w.shape for n, w in prunable(network.model).items())
    assert all(torch.equal(v, before[n]) for n, v in network.model.state_dict().items())
    assert wanted == [parameter.requires_grad for parameter in network.model.parameters()]


@pytest.mark.parametrize("scope", SCOPES)
@quick
@given(network=drawn, target=fractions)
def test_the_same_again_is_the_same(scope: Scope, network: Drawn, target: float) -> None:
    """Ties too; and pruning what is pruned changes nothing, whether the mask is given, applied, or both."""
    mask = attempt(network, target, scope)
    assert same(attempt(network, target, scope), mask)
    assert same(attempt(network, target, scope, mask), mask)
    apply(network.model, mask)
    assert same(attempt(network, target, scope, mask), mask)


@pytest.mark.parametrize("scope", SCOPES)
@quick
@given(network=drawn, targets=st.lists(fractions, min_size=2, max_size=4).map(sorted))
def test_levels_are_nested(scope: Scope, network: Drawn, targets: list[float]) -> None:
    mask = None
    for target in targets:
        new = attempt(network, target, scope, mask)
        assert mask is None or is_subset(new, mask)
        mask = new


@quick
@given(network=drawn, targets=st.tuples(fractions, fractions).map(sorted))
def test_one_shot_masks_of_rising_targets_are_nested_too(
    network: Drawn, targets: list[float]
) -> None:
    less, more = (attempt(network, target, "global") for target in targets)
    assert is_subset(more, less)


@pytest.mark.parametrize("scope", ["global", "lamp"])
@quick
@given(network=drawn.filter(lambda one: not one.tied), target=fractions, data=st.data())
def test_the_order_of_parameters_decides_nothing_but_ties(
    scope: Scope, network: Drawn, target: float, data: st.DataObject
) -> None:
    weights = {name: weight.float() for name, weight in prunable(network.model).items()}
    magnitudes = torch.cat([weight.detach().abs().reshape(-1) for weight in weights.values()])
    if len(magnitudes.unique()) < len(magnitudes):
        # bf16 and fp16 tie by chance; make them all different.
        for index, weight in enumerate(weights.values()):
            steps = torch.arange(weight.numel()).view(weight.shape)
            weights[list(weights)[index]] = weight.detach().sign() * (1 + steps * 7 + index)
    names = data.draw(st.permutations(list(weights)))
    target = min(target, (network.total - len(weights)) / network.total)
    mask = prune(weights, target_sparsity=target, scope=scope)
    shuffled = prune({name: weights[name] for name in names}, target_sparsity=target, scope=scope)
    if scope == "lamp":
        # Every layer's largest scores 1: of these ties there are as many as layers, and all are kept.
        assert all(int(kept.sum()) for kept in mask.values())
    assert PruningMask(mask) == shuffled


@pytest.mark.parametrize("dtype", DTYPES)
@quick
@given(network=drawn, target=fractions)
def test_the_mask_is_that_of_a_stable_sort(
    dtype: torch.dtype, network: Drawn, target: float
) -> None:
    model = network.model.to(dtype)
    mask = attempt(Drawn(model, network.tied), target, "global")
    flat = torch.cat([w.detach().float().abs().reshape(-1) for w in prunable(model).values()])
    keep = max(1, len(flat) - round(target * len(flat)))
    expected = torch.zeros(len(flat), dtype=torch.bool)
    expected[flat.sort(descending=True, stable=True).indices[:keep]] = True
    assert torch.equal(torch.cat([kept.reshape(-1) for kept in mask.values()]), expected)


def _moved(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().cuda() for name, weight in prunable(model).items()}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("scope", SCOPES)
@quick
@given(network=drawn, target=fractions)
def test_cuda_and_cpu_agree_bit_for_bit(scope: Scope, network: Drawn, target: float) -> None:
    weights = dict(prunable(network.model))
    target = min(target, (network.total - 1) / network.total)
    found = prune(_moved(network.model), target_sparsity=target, scope=scope)
    assert all(kept.is_cuda for kept in found.values())
    assert same(
        {n: m.cpu() for n, m in found.items()}, prune(weights, target_sparsity=target, scope=scope)
    )
