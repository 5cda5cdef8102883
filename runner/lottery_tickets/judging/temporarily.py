"""Prune a network for a while, and put back exactly the bits that were taken out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.modules import named

PIECE = 1 << 19
"""Weights looked at at once: what choosing among them allocates grows with the piece, not with the tensor."""


@contextmanager
def pruned(
    model: nn.Module, mask: Mapping[str, Tensor], *, offload: bool = False
) -> Iterator[None]:
    """Inside, the weights that `mask` prunes are +0; afterwards they are what they were, bit for bit.

    Only the pruned values are kept meanwhile, not a second network: at sparsity s that is s times the mask's weights,
    and nothing for those that are kept. They come back after an exception too. Whoever is inside may not change the
    pruned weights for good, and finds kept weights as they leave them.

    Args:
        model: The network; a mask may name a tied weight by any of its names.
        mask: Parameter name -> bool tensor, True is kept; parameters it does not name stay as they are.
        offload: Keep the pruned values in host memory, for a network on a GPU that has little room.

    Raises:
        ValueError: The mask does not fit; everything that is wrong is listed and nothing is changed.
    """
    parameters = named(model)
    kept = dict(mask)
    masks.check_fit(kept, {name: parameters[name] for name in kept if name in parameters})
    taken: list[tuple[Tensor, Tensor, Tensor]] = []
    try:
        for name, one in kept.items():
            for weights, alive in blocks(parameters[name].detach(), one):
                dead = ~alive.to(weights.device)
                values = weights[dead]
                taken.append((weights, alive, values.cpu() if offload else values))
                weights.masked_fill_(dead, 0)
        yield
    finally:
        # Last first: where two names mean one weight, the first to be taken holds the true values.
        while taken:
            weights, alive, values = taken.pop()
            weights.masked_scatter_(~alive.to(weights.device), values.to(weights.device))


def blocks(
    first: Tensor, second: Tensor, size: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Both tensors, of equal shape, in pieces of at most `size` (PIECE) elements: views, whatever their strides, so
    that writing to a piece writes to its tensor."""
    size = size or PIECE
    if first.numel() <= size:
        if first.numel():
            yield first, second
    elif first.is_contiguous() and second.is_contiguous():
        yield from zip(
            torch.split(first.view(-1), size), torch.split(second.view(-1), size), strict=True
        )
    else:
        rows = max(1, size * len(first) // first.numel())
        for one, other in zip(torch.split(first, rows), torch.split(second, rows), strict=True):
            yield from blocks(*((one[0], other[0]) if len(one) == 1 else (one, other)), size)
