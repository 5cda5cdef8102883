"""Slices of the loss: filter-normalised as computed by hand, and the weights left bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets import compute_loss_landscape
from lottery_tickets.judging import landscape
from lottery_tickets.running import Batch

Frozen = Callable[[], bool]


def probe(found: list[dict[str, Tensor]], model: nn.Module) -> Callable[[Any, Any], Tensor]:
    """A loss that writes down the weights it is computed with."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        found.append({name: weight.detach().clone() for name, weight in model.named_parameters()})
        return outputs.square().mean()

    return loss


def test_each_filter_moves_by_its_own_norm_and_nothing_else_moves(
    model: nn.Sequential, loader: list[Batch], frozen: Frozen
) -> None:
    seen: list[dict[str, Tensor]] = []
    origin = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    found = compute_loss_landscape(
        model, loader[:1], grid_points=3, radius=0.5, loss_fn=probe(seen, model)
    )
    assert frozen()
    assert found["x"].tolist() == found["y"].tolist() == [-0.5, 0.0, 0.5]
    assert found["loss"].shape == (3, 3)
    assert found["loss"][1, 1] == found["center_loss"]
    center, grid = (
        seen[0],
        {
            (x, y): seen[1 + 3 * i + j]
            for i, x in enumerate((-1, 0, 1))
            for j, y in enumerate((-1, 0, 1))
        },
    )
    for name, weight in origin.items():
        assert torch.equal(center[name], weight)
        one, other = (grid[1, 0][name] - weight) / 0.5, (grid[0, 1][name] - weight) / 0.5
        if weight.dim() < 2:
            assert not one.any()
            continue
        for direction in (one, other):
            norms = direction.flatten(1).norm(dim=1)
            assert torch.allclose(norms, weight.flatten(1).norm(dim=1), rtol=1e-4)
        assert torch.allclose(grid[-1, 1][name], weight - 0.5 * one + 0.5 * other, atol=1e-5)
        assert (one * other).sum() / (one.norm() * other.norm()) < 0.9


def test_pruned_weights_stay_zero(
    model: nn.Sequential, mask: dict[str, Tensor], loader: list[Batch], frozen: Frozen
) -> None:
    seen: list[dict[str, Tensor]] = []
    found = compute_loss_landscape(
        model, loader[:1], grid_points=2, mask=mask, loss_fn=probe(seen, model)
    )
    assert frozen()
    assert found["masked"]
    assert found["moved"] == sum(int(one.sum()) for one in mask.values())
    for weights in seen:
        assert all(not weights[name][~one].any() for name, one in mask.items())
    moved = (seen[1]["4.weight"] - seen[2]["4.weight"]) / 2  # differ by 2 along the second
    assert torch.allclose(moved.norm(dim=1), seen[0]["4.weight"].norm(dim=1), rtol=1e-3), (
        "filters have the norm of their kept weights"
    )


def test_a_seed_means_a_slice_whether_directions_are_stored_and_however_small_the_pieces(
    model: nn.Sequential, loader: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(**options: Any) -> Tensor:
        return compute_loss_landscape(model, loader, dimensions=1, grid_points=5, **options)["loss"]

    one = run()
    assert one.shape == (5,)
    assert torch.equal(run(store_directions=True), one)
    assert torch.equal(run(offload=True), one)
    assert not torch.equal(run(seed=1), one)
    monkeypatch.setattr(landscape, "PIECE", 256)  # four filters of 64 at a time
    assert torch.equal(run(), run(store_directions=True))


def test_what_is_excluded_does_not_move(model: nn.Sequential, loader: list[Batch]) -> None:
    seen: list[dict[str, Tensor]] = []
    compute_loss_landscape(
        model, loader[:1], dimensions=1, grid_points=2, exclude=["4"], loss_fn=probe(seen, model)
    )
    assert torch.equal(seen[1]["4.weight"], model[4].weight)
    assert not torch.equal(seen[1]["6.weight"], model[6].weight)


def test_half_precision_and_tied_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)).bfloat16()
    model[1].weight = model[0].weight
    before = model[0].weight.clone()
    data = [(torch.randn(3, 4).bfloat16(), torch.tensor([0, 1, 2]))]
    tied = {"1.weight": torch.eye(4, dtype=torch.bool)}
    found = compute_loss_landscape(model, data, grid_points=3, mask=tied)
    assert torch.equal(model[0].weight, before)
    assert found["moved"] == 4
    assert torch.isfinite(found["loss"]).all()


def test_after_an_exception_all_is_as_it_was(
    model: nn.Sequential,
    mask: dict[str, Tensor],
    loader: list[Batch],
    frozen: Frozen,
    failing: Any,
) -> None:
    for after in (0, 4):
        with pytest.raises(RuntimeError, match="out of luck"):
            compute_loss_landscape(model, loader, mask=mask, loss_fn=failing(after))
        assert frozen()


def test_wrong_input_is_told(model: nn.Sequential, loader: list[Batch]) -> None:
    with pytest.raises(ValueError, match="dimensions is 3: use 1 or 2"):
        compute_loss_landscape(model, loader, dimensions=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="grid_points is 1"):
        compute_loss_landscape(model, loader, grid_points=1)
    with pytest.raises(ValueError, match=r"grid_points is 2\.5"):
        compute_loss_landscape(model, loader, grid_points=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="radius is 0"):
        compute_loss_landscape(model, loader, radius=0)
    with pytest.raises(ValueError, match="used up after one pass"):
        compute_loss_landscape(model, iter(loader))
    with pytest.raises(ValueError, match="pattern 'nobody'"):
        compute_loss_landscape(model, loader, exclude=["nobody"])
    with pytest.raises(ValueError, match="the mask does not fit"):
        compute_loss_landscape(model, loader, mask={"a": torch.ones(1).bool()})
    with pytest.raises(ValueError, match="no weight can be moved"):
        compute_loss_landscape(nn.BatchNorm1d(3), loader)
