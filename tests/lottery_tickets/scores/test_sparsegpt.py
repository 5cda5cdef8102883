"""SparseGPT, against least squares and the Optimal Brain Surgeon written out."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets import magnitude, prune, sparsegpt


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlated(samples: int, features: int, seed: int = 0) -> Tensor:
    """Inputs of which one tells about the others, else there is nothing to make up for."""
    mixing = torch.randn(features, features, generator=seeded(seed))
    return torch.randn(samples, features, generator=seeded(seed + 1)) @ mixing


def layer(features: int = 12, outputs: int = 6) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(features, outputs)


def surgeon(weight: Tensor, hessian: Tensor, kept: Tensor) -> Tensor:
    """The OBS update for a given mask, row by row and column by column, with the inverse of what remains."""
    weight, columns = weight.double().clone(), weight.shape[1]
    for row in range(len(weight)):
        for column in range(columns):
            if kept[row, column]:
                continue
            inverse = torch.linalg.inv(hessian.double()[column:, column:])
            weight[row, column:] -= weight[row, column] / inverse[0, 0] * inverse[:, 0]
            weight[row, column] = 0
    return weight


@pytest.mark.parametrize("block", [4, 5, 128])
@pytest.mark.parametrize("part", [0.5, 0.31])
def test_the_update_is_the_surgeons(block: int, part: float) -> None:
    model, x = layer(), correlated(40, 12)
    found = sparsegpt(model, [x[:25], x[25:]], part, block=block)
    mask, new = found.mask["weight"], found.weights["weight"]
    assert int((~mask).sum()) == round(part * 72)
    assert not new[~mask].any()
    hessian = x.t() @ x
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(12)
    wanted = surgeon(model.weight.detach(), hessian, mask)
    torch.testing.assert_close(new.double(), wanted, rtol=1e-3, atol=1e-4)


def test_the_mask_of_a_block_is_of_the_lowest_losses() -> None:
    model, x = layer(), correlated(40, 12)
    hessian = x.t() @ x
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(12)
    upper = torch.linalg.cholesky(torch.linalg.inv(hessian.double()), upper=True)
    losses = model.weight.detach().double() / upper.diagonal()
    wanted = prune({"w": losses.float().square()}, target_sparsity=0.5)["w"]
    assert torch.equal(sparsegpt(model, [x]).mask["weight"], wanted)


def test_the_last_columns_prunable_alone_reach_least_squares() -> None:
    """Where everything to the left of the survivors is pruned, column by column is the exact optimum."""
    model, x = layer(4, 3), correlated(60, 4)
    with torch.no_grad():
        model.weight[:, :2] *= 1e-3
    found = sparsegpt(model, [x], 0.5, damping=0.0, per_output=True)
    assert found.mask["weight"].tolist() == [[False, False, True, True]] * 3
    target = x.double() @ model.weight.detach().double().t()
    best = torch.linalg.lstsq(x[:, 2:].double(), target).solution.t()
    torch.testing.assert_close(found.weights["weight"][:, 2:].double(), best, rtol=1e-3, atol=1e-4)


def test_outputs_change_less_than_with_the_same_mask_alone_or_magnitude() -> None:
    model = layer()
    x = correlated(60, 4) @ torch.randn(4, 12, generator=seeded(2))
    x += 0.3 * torch.randn(x.shape, generator=seeded(3))
    found = sparsegpt(model, [x], 0.5)
    weight = model.weight.detach()

    def error(new: Tensor) -> float:
        return float((x @ (new - weight).t()).norm())

    by_magnitude = prune(model, target_sparsity=0.5, score=magnitude({"weight": model.weight}))
    updated = error(found.weights["weight"])
    assert updated < error(weight * found.mask["weight"]) / 2
    assert updated < error(weight * by_magnitude["weight"]) / 2


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
def test_patterns(n: int, m: int) -> None:
    model, x = layer(16), correlated(60, 16)
    found = sparsegpt(model, [x], pattern=f"{n}:{m}", block=8)
    assert (found.mask["weight"].view(6, -1, m).sum(2) == n).all()
    assert not found.weights["weight"][~found.mask["weight"]].any()
    hessian = x.t() @ x
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(16)
    wanted = surgeon(model.weight.detach(), hessian, found.mask["weight"])
    torch.testing.assert_close(found.weights["weight"].double(), wanted, rtol=1e-3, atol=1e-4)


def test_convolutions_in_groups_are_solved_group_by_group() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 2, groups=2)
    x = torch.randn(9, 4, 5, 5, generator=seeded())
    found = sparsegpt(conv, [x[:4], x[4:]], 0.4)
    assert int((~found.mask["weight"]).sum()) == round(0.4 * 48)
    for group in range(2):
        ours = slice(3 * group, 3 * group + 3)
        patches = nn.functional.unfold(x[:, 2 * group : 2 * group + 2], 2)
        rows = patches.movedim(1, 2).flatten(0, 1)
        hessian = rows.t() @ rows
        hessian += 0.01 * hessian.diagonal().mean() * torch.eye(8)
        mask = found.mask["weight"][ours].flatten(1)
        wanted = surgeon(conv.weight.detach()[ours].flatten(1), hessian, mask)
        new = found.weights["weight"][ours].flatten(1).double()
        torch.testing.assert_close(new, wanted, rtol=1e-3, atol=1e-4)


def two() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)).bfloat16()


def test_a_later_layer_sees_what_the_pruned_ones_before_it_answer() -> None:
    x = correlated(50, 8).bfloat16()
    one_pass, two_passes = (sparsegpt(two(), [x], 0.6, hessian_bytes=room) for room in (1 << 30, 1))
    assert torch.equal(one_pass.weights["0.weight"], two_passes.weights["0.weight"])
    assert not torch.equal(one_pass.weights["2.weight"], two_passes.weights["2.weight"])
    pruned = two()
    first, last = pruned[0], pruned[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        first.weight.copy_(two_passes.weights["0.weight"])
    alone = sparsegpt(last, [pruned[:2](x).detach()], 0.6)
    assert torch.equal(alone.weights["weight"], two_passes.weights["2.weight"])


def test_the_network_is_left_as_it_was() -> None:
    model, x = two(), correlated(50, 8).bfloat16()
    before = [parameter.clone() for parameter in model.parameters()]
    found = sparsegpt(model, [x], 0.5)
    assert {w.dtype for w in found.weights.values()} == {torch.bfloat16}
    calls = 0

    def break_down(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError("gone")

    # The first layer is pruned when the third pass breaks.
    handle = model[1].register_forward_hook(break_down)
    with pytest.raises(OSError, match="gone"):
        sparsegpt(model, [x], 0.5, hessian_bytes=1)
    handle.remove()
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_feature_that_is_always_zero() -> None:
    model, x = layer(), correlated(40, 12)
    x[:, 3] = 0
    assert not sparsegpt(model, [x], 0.25).weights["weight"][:, 3].any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sparsity": 1.0}, "sparsity is 1.0: use"),
        ({"pattern": "4:4"}, "pattern is '4:4': use .* with 0 < N < M"),
        (
            {"pattern": "1:5", "block": 10},
            "pattern 1:5 does not fit 'weight', whose outputs have 12",
        ),
        ({"pattern": "2:4", "block": 6}, "use a multiple of 4"),
        ({"pattern": "1:4", "sparsity": 0.6}, "sparsity is 0.6, but 1:4 prunes 0.75"),
        ({"block": 0}, "block is 0"),
        ({"damping": -0.1}, "damping is -0.1"),
        ({"num_samples": 4}, "holds 3 samples, fewer than num_samples 4"),
        ({"damping": 0.0}, "cannot be inverted with damping 0.0: use more"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], sentence: str) -> None:
    x = torch.ones(3, 12)
    with pytest.raises(ValueError, match=sentence):
        sparsegpt(layer(), [x], **options)
