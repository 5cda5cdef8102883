"""Gradients handed on one weight at a time and dropped at once, so that they never pile up."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from lottery_tickets.running import (
    Batch,
    LossFn,
    Telling,
    batch_loss,
    batches,
    follow,
    preserved,
    size,
)
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.losses import differentiable
from lottery_tickets.running.preserve import require_only
from lottery_tickets.scores.checks import refuse_broken

PIECE = 1 << 19
"""Elements of a gradient that are converted to fp32 at once."""

Take = Callable[[str, Tensor], None]
"""take(name of the weight, its gradient of one backward pass)"""

Fold = Callable[[Tensor, Tensor, Tensor, float], None]
"""fold(sum, gradient, weight, factor) adds one gradient's part to the sum, in place; all of one shape.

The sum may be on another device than the other two."""


@contextmanager
def handing_on(model: nn.Module, weights: Mapping[str, nn.Parameter], take: Take) -> Iterator[None]:
    """Inside, a backward pass gives the gradient of each of `weights` to `take` and drops it before the next one.

    Only these weights require gradients then: see `require_only`. Of a weight used in several places the gradient
    comes once, whole.
    """
    handles = []
    require_only(model, weights.values())
    try:
        for name, weight in weights.items():
            hook = partial(_hand_on, name, take)
            handles.append(weight.register_post_accumulate_grad_hook(hook))  # type: ignore[no-untyped-call]
        with torch.enable_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()


def _hand_on(name: str, take: Take, weight: Tensor) -> None:
    gradient, weight.grad = weight.grad, None
    if gradient is not None:
        take(name, gradient.detach())


class Sums:
    """A sum for each weight, to which gradients are folded piece by piece."""

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        fold: Fold,
        *,
        host: bool = False,
        dtype: torch.dtype | None = torch.float32,
        piece: int = PIECE,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        """Sums of zero, of the weights' shapes if no others are given; on the host or beside the weights; in `dtype`,
        or with None in the weights' own."""
        self.weights = {name: weight.detach() for name, weight in weights.items()}
        self.of = {
            name: torch.zeros(
                shapes[name] if shapes else weight.shape,
                dtype=dtype or weight.dtype,
                device="cpu" if host else weight.device,
            )
            for name, weight in weights.items()
        }
        self.fold = fold
        self.factor = 1.0
        self.piece = piece
        self._passed: set[str] = set()

    def begin(self, factor: float = 1.0) -> None:
        """Before each backward pass: what `fold` gets as its factor."""
        self.factor = factor
        self._passed.clear()

    def take(self, name: str, gradient: Tensor) -> None:
        """Fold one weight's gradient in.

        Raises:
            ValueError: It is the second of this weight in one pass: a part, of which no square can be taken.
        """
        if name in self._passed:
            raise ValueError(
                f"the gradient of {name!r} came in parts, as reentrant activation checkpointing of a shared weight "
                f"gives it: use checkpoint(..., use_reentrant=False)"
            )
        self._passed.add(name)
        self.fold_all(name, gradient)

    def fold_all(self, name: str, gradient: Tensor) -> None:
        """Fold a whole gradient in, at most `piece` elements of it at a time."""
        for total, part, weight in blocks(self.of[name], gradient, self.weights[name], self.piece):
            self.fold(total, part, weight, self.factor)


def blocks(
    first: Tensor, second: Tensor, third: Tensor, size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The same part of three tensors of one shape, as views of at most `size` elements, whatever their strides."""
    if first.numel() <= size or not first.dim():
        yield first, second, third
        return
    rows = max(1, size * first.shape[0] // first.numel())
    for parts in zip(*(torch.split(t, rows) for t in (first, second, third)), strict=True):
        if parts[0].numel() > size:
            yield from blocks(parts[0][0], parts[1][0], parts[2][0], size)
        else:
            yield parts


def mean_over_batches(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    dataloader: Iterable[Batch],
    sums: Sums,
    *,
    num_samples: int | None,
    loss_fn: LossFn | None,
    training: bool,
    doing: str,
    progress: Telling,
) -> dict[str, Tensor]:
    """The mean of what `sums` folds in, over batches, each weighing as many samples as it holds.

    Raises:
        ValueError: See `batches`, `batch_loss`, `differentiable`; a sum is NaN or infinite.
    """
    seen = 0
    with preserved(model, training=training), handing_on(model, weights, sums.take):
        stream = batches(dataloader, num_samples=num_samples, device=device_of(model))
        for batch in follow(stream, doing, None, progress):
            count = size(batch)
            sums.begin(count)
            torch.autograd.backward(differentiable(batch_loss(model, batch, loss_fn)))
            seen += count
    for total in sums.of.values():
        total.div_(seen)
    refuse_broken(sums.of, f"the {doing} score")
    return sums.of
