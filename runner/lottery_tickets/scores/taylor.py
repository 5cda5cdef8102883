"""Taylor: what the loss would change, to first order, if a weight (or a channel) were gone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from lottery_tickets.patterns import outputs_first, reduction_axes
from lottery_tickets.running import Batch, LossFn, Telling
from lottery_tickets.scores.backward import Fold, Sums, mean_over_batches
from lottery_tickets.scores.checks import scorable, warn_of_silent

Channels = Literal["sum", "gate"]


def taylor(
    model: nn.Module,
    dataloader: Iterable[Batch],
    num_samples: int | None = None,
    *,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    squared: bool = True,
    channels: Channels | None = None,
    training: bool = False,
    progress: Telling = None,
) -> dict[str, Tensor]:
    """(w g)² or |w g|, g a batch's gradient, averaged over batches (Molchanov et al. 2019, 1906.10771, section 3).

    Each batch gives a score, as in the paper, where they are averaged over minibatches: the batch size matters, since
    gradients of opposite signs cancel inside of a batch. `snip` takes the gradient of all samples together.

    Args:
        squared: True for (w g)², False for |w g|: on one batch the order of weights is the same.
        channels: None for a score of each weight. "sum": of each output channel, the sum over its weights. "gate": of
            each output channel, (sum of w g)² or |sum of w g|, as a gate behind the channel would have it.
        model, dataloader, num_samples, loss_fn, exclude, training, progress: See `gradient`.

    Returns:
        Name -> fp32 scores of the weight's shape; with `channels`, of shape (output channels,). Of a transposed
        convolution with groups, the channels of one group follow those of the one before, as in its output.

    Raises:
        ValueError: See `gradient`; or `channels` is unknown.
    """
    if channels not in (None, "sum", "gate"):
        raise ValueError(f"channels is {channels!r}: use None, 'sum' or 'gate'")
    weights = scorable(model, exclude)
    if channels is None:
        sums = Sums(weights, _fold(squared))
    else:
        sums = _ChannelSums(model, weights, squared, gate=channels == "gate")
    scores = mean_over_batches(
        model,
        weights,
        dataloader,
        sums,
        num_samples=num_samples,
        loss_fn=loss_fn,
        training=training,
        doing="taylor",
        progress=progress,
    )
    warn_of_silent(scores)
    return scores


def _fold(squared: bool) -> Fold:
    def fold(total: Tensor, part: Tensor, weight: Tensor, factor: float) -> None:
        total.add_(_size(part.float() * weight, squared), alpha=factor)

    return fold


def _size(change: Tensor, squared: bool) -> Tensor:
    """How much a change of the loss counts; in place."""
    return change.square_() if squared else change.abs_()


class _ChannelSums(Sums):
    """A sum for each output channel."""

    def __init__(
        self, model: nn.Module, weights: Mapping[str, nn.Parameter], squared: bool, *, gate: bool
    ) -> None:
        self.axes = reduction_axes(model, weights)
        self.squared, self.gate = squared, gate
        channels = {name: len(self._rows(name, weight)) for name, weight in weights.items()}
        super().__init__(weights, _fold(squared), shapes={n: (c,) for n, c in channels.items()})

    def fold_all(self, name: str, gradient: Tensor) -> None:
        change = self._rows(name, gradient.float() * self.weights[name])
        if self.gate:
            change = change.sum(1, keepdim=True)
        self.of[name].add_(_size(change, self.squared).sum(1), alpha=self.factor)

    def _rows(self, name: str, tensor: Tensor) -> Tensor:
        """(output channels, weights of each)."""
        return outputs_first(tensor, self.axes[name])
