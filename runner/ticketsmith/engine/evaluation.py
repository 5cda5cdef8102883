"""What a network gets right and wrong on a split."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ticketsmith.engine.data import Data, Split, evaluation_batches

SAMPLES_EACH = 16
_PIXELS_PER_BATCH = 2**21


@dataclass(frozen=True)
class Evaluated:
    """One pass over a split, without gradients, in the model's evaluation mode."""

    loss: float
    """Mean cross-entropy in nats."""
    predictions: Tensor
    """int64 [N], the class with the highest logit."""
    confidences: Tensor
    """fp32 [N], its softmax probability."""
    accuracy: float
    """Fraction of the images whose prediction is the label."""


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context of every forward pass: bf16 autocast, or nothing for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, data: Data, precision: str) -> Evaluated:
    """Measure `model` on `split`; it is put back into training mode if it was in it."""
    training = model.training
    model.eval()
    device = split.labels.device
    losses: list[Tensor] = []
    predictions: list[Tensor] = []
    confidences: list[Tensor] = []
    try:
        for x, y in evaluation_batches(split, data, _batch_size(data)):
            with autocast(precision, device):
                logits = model(x).float()
            losses.append(cross_entropy(logits, y, reduction="sum"))
            confidence, prediction = logits.softmax(1).max(1)
            predictions.append(prediction)
            confidences.append(confidence)
    finally:
        model.train(training)
    predicted = torch.cat(predictions)
    return Evaluated(
        loss=float(torch.stack(losses).double().sum()) / len(split),
        predictions=predicted,
        confidences=torch.cat(confidences),
        accuracy=int((predicted == split.labels).sum()) / len(split),
    )


def samples(split: Split, evaluated: Evaluated) -> dict[str, Tensor]:
    """The first wrong and the first right images of `split`, up to SAMPLES_EACH of each, unselected otherwise.

    Returns images uint8 [n, C, H, W], labels and predictions int64 [n], confidences fp32 [n]; wrong ones first.
    """
    right = evaluated.predictions == split.labels
    chosen = torch.cat([torch.nonzero(rows).flatten()[:SAMPLES_EACH] for rows in (~right, right)])
    return {
        "images": split.images[chosen],
        "labels": split.labels[chosen],
        "predictions": evaluated.predictions[chosen],
        "confidences": evaluated.confidences[chosen],
    }


def _batch_size(data: Data) -> int:
    """Large batches of small images, small batches of large ones: never more than about 8 MB of fp32 input."""
    channels, height, width = data.input_shape
    return max(1, min(1000, _PIXELS_PER_BATCH // (channels * height * width)))
