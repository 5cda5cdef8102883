"""How well a network does on data: its loss, and its accuracy or a metric of the caller's."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lottery_tickets.running import Batch, LossFn, Telling, batches, follow, size
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.losses import loss_of, outputs_of, targets_of

Metric = Literal["auto", "accuracy", "loss"] | Callable[[Any, Any], Any]
"""What performance means. "accuracy": the share of targets that the largest output names. "loss": the loss itself.
"auto": accuracy where it is defined (see `Performance.accuracy`), else loss. A function metric(outputs, targets):
a number for a batch, its mean over the samples, the higher the better."""


@dataclass(frozen=True)
class Performance:
    """What was measured, as means over the samples."""

    loss: float
    accuracy: float | None
    """Of the targets that count (class numbers from 0 up; -100 marks those to ignore), the share whose class has the
    largest output along dimension 1. None where that is not defined: outputs that are not [N, classes, ...] for
    integer targets [N, ...], and language models, whose outputs [N, T, classes] may or may not be shifted."""
    metric: float | None
    """The mean of the caller's metric function."""
    samples: int
    batches: int


@torch.no_grad()
def measure(
    model: nn.Module,
    dataloader: Iterable[Batch],
    *,
    loss_fn: LossFn | None = None,
    metric: Metric = "auto",
    num_samples: int | None = None,
    doing: str = "measuring",
    progress: Telling = None,
) -> Performance:
    """Loss and accuracy of the network in the mode it is in, without gradients.

    Each batch's loss is taken to be a mean and weighs as many samples as the batch has.

    Raises:
        ValueError: The data or the loss are wrong, see `batches` and `batch_loss`.
    """
    loss = scored = 0.0
    right = counted = seen = read = 0
    accuracy = metric in ("auto", "accuracy")
    stream: Iterator[Batch] = batches(dataloader, num_samples=num_samples, device=device_of(model))
    total = len(dataloader) if isinstance(dataloader, Sized) and num_samples is None else None
    for batch in follow(stream, doing, total, progress):
        read += 1
        count = size(batch)
        outputs, targets = outputs_of(model, batch), targets_of(batch)
        loss += count * float(loss_of(outputs, batch, loss_fn))
        seen += count
        logits = getattr(outputs, "logits", outputs)
        if callable(metric):
            scored += count * float(metric(logits, targets))
        elif accuracy:
            found = _right(logits, targets, shifted=isinstance(batch, Mapping))
            accuracy = found is not None
            if found is not None:
                right, counted = right + found[0], counted + found[1]
    return Performance(
        loss=loss / seen,
        accuracy=right / counted if accuracy and counted else None,
        metric=scored / seen if callable(metric) else None,
        samples=seen,
        batches=read,
    )


def check_metric(metric: Metric) -> None:
    """ValueError unless it is one of the names or a function."""
    if not callable(metric) and metric not in ("auto", "accuracy", "loss"):
        raise ValueError(
            f"metric is {metric!r}: use 'auto', 'accuracy', 'loss' or a function of outputs and targets"
        )


def check_again(dataloader: object) -> None:
    """ValueError if the data can be read only once."""
    if isinstance(dataloader, Iterator):
        raise ValueError(
            "dataloader is used up after one pass, and is needed for several: give a list or a DataLoader"
        )


def check_fraction(name: str, value: float) -> None:
    """ValueError unless it lies in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}: use a fraction in [0, 1)")


def check_number(name: str, value: object) -> None:
    """ValueError unless it is a finite number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}: give the dense network's figure, a number")


def chosen(metric: Metric, performance: Performance) -> str:
    """Which figure of `performance` the metric means: "accuracy", "loss" or "metric".

    Raises:
        ValueError: Accuracy is asked for and is not defined.
    """
    if callable(metric):
        return "metric"
    if metric == "loss" or (metric == "auto" and performance.accuracy is None):
        return "loss"
    if performance.accuracy is None:
        raise ValueError(
            "metric is 'accuracy', but the outputs are not [samples, classes] for integer targets: use metric='loss' "
            "or a function of outputs and targets"
        )
    return "accuracy"


def figure(performance: Performance, name: str) -> float:
    """The figure that `chosen` named."""
    return float(getattr(performance, name))


def retention(dense: float, ticket: float, name: str) -> float:
    """How much of the dense performance is left: 1 is all of it, above 1 is a gain.

    Accuracy and metrics that grow with quality: ticket / dense. Loss: dense / ticket, so that twice the loss is 0.5.
    0 where the ticket's figure is no number; NaN where the ratio says nothing (dense performance 0 or below).
    """
    if not math.isfinite(ticket):
        return 0.0
    above, below = (dense, ticket) if name == "loss" else (ticket, dense)
    if ticket == dense:
        return 1.0
    if dense < 0 or ticket < 0 or below == 0:
        return math.nan
    return above / below


DEFINITIONS = {
    "accuracy": "accuracy of the ticket / accuracy of the dense network",
    "metric": "metric of the ticket / metric of the dense network",
    "loss": "loss of the dense network / loss of the ticket",
}
"""What retention is, by the figure it is taken of."""


def _right(logits: Any, targets: Any, *, shifted: bool) -> tuple[int, int] | None:
    """How many targets are named rightly, of how many; None where that is not defined."""
    if not (isinstance(logits, Tensor) and isinstance(targets, Tensor)):
        return None
    if targets.is_floating_point() or targets.is_complex() or logits.dim() < 2:
        return None
    if logits.shape[:1] + logits.shape[2:] != targets.shape or (shifted and logits.dim() > 2):
        return None
    counts = targets >= 0
    found = (logits.argmax(1) == targets) & counts
    return int(found.sum()), int(counts.sum())
