"""Gradients of several samples at once, for small networks."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from lottery_tickets.running import Batch, LossFn, batch_loss
from lottery_tickets.running.batches import changed
from lottery_tickets.running.losses import finite
from lottery_tickets.scores.swapped import swapped

ROOM = 1 << 26
"""Bytes that the gradients of the samples of one call may take."""
WORTH = 4
"""Samples below which one by one is as fast."""


def group_size(weights: Mapping[str, Tensor]) -> int:
    """How many samples' gradients have room; 0 where so few do that one by one is as fast, or weights have 16 bits:
    there vmap's kernels round to other gradients than those of a sample by itself."""
    if any(weight.element_size() < 4 for weight in weights.values()):
        return 0
    each = sum(weight.numel() * weight.element_size() for weight in weights.values())
    group = ROOM // max(1, each)
    return group if group >= WORTH else 0


def sample_gradients(
    model: nn.Module, weights: Mapping[str, Tensor], batch: Batch, loss_fn: LossFn | None
) -> dict[str, Tensor]:
    """Name -> (samples, *shape): the gradient of each sample's loss, the sample as a batch of one.

    Raises:
        ValueError: A sample's loss is NaN or infinite.
        Exception: Whatever torch.func has against this network: data that decide the flow, changes in place,
            operations without a rule. Then take the samples one by one.
    """
    found, losses = gradients_and_losses(model, weights, batch, loss_fn)
    if not torch.isfinite(losses).all():
        finite(losses[~torch.isfinite(losses)][0])
    return found


def gradients_and_losses(
    model: nn.Module, weights: Mapping[str, Tensor], batch: Batch, loss_fn: LossFn | None
) -> tuple[dict[str, Tensor], Tensor]:
    """`sample_gradients`, and the loss of each sample, which may be no number."""
    whole: list[Tensor] = []

    def collect(tensor: Tensor) -> Tensor:
        whole.append(tensor)
        return tensor

    changed(batch, collect)

    def of_one(chosen: dict[str, Tensor], parts: list[Tensor]) -> tuple[Tensor, Tensor]:
        remaining = iter(parts)

        def restore(tensor: Tensor) -> Tensor:
            one = next(remaining)
            return one.unsqueeze(0) if tensor.dim() else one

        with swapped(model, chosen):
            loss = batch_loss(model, changed(batch, restore), loss_fn)
        return loss, loss

    dims: Any = (None, [0 if tensor.dim() else None for tensor in whole])
    chosen = {name: weight.detach() for name, weight in weights.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        found, losses = vmap(grad(of_one, has_aux=True), in_dims=dims)(chosen, whole)
    return dict(found), losses
