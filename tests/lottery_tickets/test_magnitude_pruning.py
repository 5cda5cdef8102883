"""Magnitude pruning by its well-known names."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

import lottery_tickets
from lottery_tickets import (
    MagnitudePruner,
    PruningMask,
    compute_layerwise_magnitude_ticket,
    counts,
    create_magnitude_mask,
    is_subset,
    prunable,
    sparsity,
)


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 10))


TOTAL = 8 * 27 + 320


@given(wanted=st.floats(0, 0.99), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_smallest_weights_of_the_network_go_exactly_as_many_as_asked(
    wanted: float, seed: int
) -> None:
    model = net(seed)
    mask = create_magnitude_mask(model=model, sparsity=wanted)
    assert list(mask) == ["0.weight", "3.weight"]
    weights = torch.cat([model[i].weight.detach().abs().reshape(-1) for i in (0, 3)])
    kept = torch.cat([mask[name].reshape(-1) for name in mask])
    expected = torch.zeros_like(kept)
    expected[weights.argsort(descending=True, stable=True)[: TOTAL - round(wanted * TOTAL)]] = True
    assert torch.equal(kept, expected)


def test_layerwise_globally_or_each_by_itself() -> None:
    model = net()
    globally = compute_layerwise_magnitude_ticket(model=model, target_sparsity=0.75)
    assert all(torch.equal(m, globally[n]) for n, m in create_magnitude_mask(model, 0.75).items())
    alone = compute_layerwise_magnitude_ticket(model, 0.75, use_global_ranking=False)
    assert counts(alone) == {"0.weight": (54, 216), "3.weight": (80, 320)}
    default = compute_layerwise_magnitude_ticket(model=model, use_global_ranking=True)
    assert sparsity(default) == pytest.approx(0.9, abs=1e-3)


def test_exclusions_rates_and_sparsities_of_modules() -> None:
    model = net()
    for pruned in (create_magnitude_mask, compute_layerwise_magnitude_ticket):
        assert list(pruned(model, 0.5, exclude=["3"])) == ["0.weight"]
        assert counts(pruned(model, 0.25, sparsities={"3": 0}))["3.weight"] == (320, 320)
        slower = counts(pruned(model, 0.5, rate_factors={"3": 0.5}))
        assert slower["3.weight"][0] == 320 - round(0.5 * TOTAL * 160 / (216 + 160))
    pruner = MagnitudePruner(exclude=["0"], sparsities={"3": 0.25})
    assert counts(pruner.prune(model)) == {"3.weight": (240, 320)}


@pytest.mark.parametrize("global_pruning", [True, False])
def test_the_pruner_goes_from_level_to_level(global_pruning: bool) -> None:
    model, pruner = net(), MagnitudePruner(global_pruning=global_pruning)
    mask = PruningMask(model)
    for target in (0.2, 0.5, 0.5, 0.9):
        before = {name: kept.clone() for name, kept in mask.items()}
        new = pruner.prune(model, mask, target_sparsity=target)
        assert isinstance(new, PruningMask)
        assert is_subset(new, mask)
        assert mask == before
        assert sum(kept for kept, _ in counts(new).values()) == TOTAL - round(target * TOTAL)
        with torch.no_grad():  # the pruned ones grow, and stay pruned all the same
            for name, weight in prunable(model).items():
                weight[~new[name]] = 9.0
        mask = new
    assert pruner.prune(net(), None, 0.5).sparsity == 0.5
    assert pruner.prune(net(), dict(mask), target_sparsity=0.95).sparsity > 0.94


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"^sparsity is 90.*0\.9 for 90 %"):
        create_magnitude_mask(net(), 90)
    with pytest.raises(ValueError, match=r"target_sparsity is 1"):
        compute_layerwise_magnitude_ticket(net(), 1)
    with pytest.raises(ValueError, match="target_sparsity is missing"):
        MagnitudePruner().prune(net())
    with pytest.raises(ValueError, match="'fc' matches no"):
        create_magnitude_mask(net(), 0.5, exclude=["fc"])
    model = net()
    with torch.no_grad():
        model[3].weight[2, 5] = torch.inf
    for scope in ("global", "layer", "erk", "lamp"):
        with pytest.raises(ValueError, match=r"weight '3\.weight' at flat index 69 is infinite"):
            create_magnitude_mask(model, 0.5, scope=scope)
    with pytest.raises(ValueError, match="already pruned"):
        MagnitudePruner().prune(net(), create_magnitude_mask(net(), 0.5), 0.2)


def test_the_names_are_there() -> None:
    for name in ("create_magnitude_mask", "MagnitudePruner", "PruningMask", "Structured24Pruner"):
        assert name in lottery_tickets.__all__


def test_the_masks_of_torch_itself_where_nothing_ties() -> None:
    for target in (0.1, 0.5, 0.93):
        theirs = net()
        modules = [(theirs[0], "weight"), (theirs[3], "weight")]
        torch_prune.global_unstructured(modules, torch_prune.L1Unstructured, amount=target)
        ours = create_magnitude_mask(net(), target)
        assert torch.equal(ours["0.weight"], theirs[0].weight_mask.bool())
        assert torch.equal(ours["3.weight"], theirs[3].weight_mask.bool())
