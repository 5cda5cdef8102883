"""The mean gradient: how fast the loss changes with each weight."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from lottery_tickets.running import Batch, LossFn, Telling
from lottery_tickets.scores.backward import Sums, mean_over_batches
from lottery_tickets.scores.checks import scorable, warn_of_silent


def gradient(
    model: nn.Module,
    dataloader: Iterable[Batch],
    num_samples: int | None = None,
    *,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    training: bool = False,
    progress: Telling = None,
) -> dict[str, Tensor]:
    """|dL/dw|, L the mean loss over the samples: `snip` without the factor |w|.

    A weight of a large gradient is one that training would move, not one that is needed: it is here to compare with.

    Args:
        model: Any network; every prunable weight is scored, also one that is frozen.
        dataloader: Batches, see `Batch`; each batch's loss is taken to be the mean over its samples.
        num_samples: Samples that are read, exactly; None: all.
        loss_fn: See `batch_loss`.
        exclude: Patterns of weights that are left out, see `prunable`.
        training: True for training mode: batch norm with the batch's own statistics, and dropout.
        progress: See `follow`.

    Returns:
        Name -> fp32 scores of the weight's shape, on its device; 0, with one warning, where no gradient arrives.

    Raises:
        ValueError: See `scorable`, `batches` and `batch_loss`; the loss has no gradient; or a gradient is NaN or
            infinite (the tensor and the index are given).
    """
    scores = mean_gradient(
        model,
        scorable(model, exclude),
        dataloader,
        num_samples=num_samples,
        loss_fn=loss_fn,
        training=training,
        doing="gradient",
        progress=progress,
    )
    warn_of_silent(scores)
    return {name: score.abs_() for name, score in scores.items()}


def mean_gradient(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    dataloader: Iterable[Batch],
    *,
    num_samples: int | None,
    loss_fn: LossFn | None,
    training: bool,
    doing: str,
    progress: Telling,
) -> dict[str, Tensor]:
    """dL/dw in fp32, L the mean loss over the samples."""
    return mean_over_batches(
        model,
        weights,
        dataloader,
        Sums(weights, _add),
        num_samples=num_samples,
        loss_fn=loss_fn,
        training=training,
        doing=doing,
        progress=progress,
    )


def _add(total: Tensor, part: Tensor, _: Tensor, factor: float) -> None:
    total.add_(part, alpha=factor)
