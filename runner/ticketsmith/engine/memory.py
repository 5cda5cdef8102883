"""Does training fit? What is certain is counted first, since Linux kills a process that takes too much."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lottery_tickets import available_memory
from ticketsmith.engine.optimizers import state_tensors
from ticketsmith.experiment.problems import DoesNotFit
from ticketsmith.experiment.spec import TrainingSpec

COUNTED = (
    "weights, gradients, optimizer state and kept copies; mask, data and activations come on top"
)
_CPU_REFUSAL = "can't allocate memory"


def predicted_bytes(model: nn.Module, spec: TrainingSpec) -> int:
    """Bytes that training `model` needs at the least: what is COUNTED, and no more."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    copies = 1 if spec.select == "bestValidation" else 0
    gradients = 1
    tensors = 1 + gradients + state_tensors(spec.optimizer) + copies
    return weights * tensors + buffers * (1 + copies)


def check_fits(model: nn.Module, spec: TrainingSpec, device: torch.device) -> None:
    """DoesNotFit if training `model`, which may be on the meta device, is certain to run out of memory."""
    predicted = predicted_bytes(model, spec)
    available = available_memory(device)
    if predicted > available:
        raise DoesNotFit(
            f"training needs at least {predicted:,} bytes ({COUNTED}) and {available:,} are available on"
            f" {device}: use a smaller model or a larger machine"
        )


@contextmanager
def told_if_exhausted(model: nn.Module, spec: TrainingSpec, device: torch.device) -> Iterator[None]:
    """Turn an allocation that fails inside into DoesNotFit, with predicted and available bytes."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_refusal(error):
            raise
        raise DoesNotFit(
            f"out of memory on {device}: at least {predicted_bytes(model, spec):,} bytes were predicted"
            f" ({COUNTED}) and {available_memory(device):,} are available now"
            f" ({str(error).splitlines()[0]}): use a smaller training.batchSize, a smaller model or a"
            " larger machine"
        ) from error


def is_refusal(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or _CPU_REFUSAL in str(error)
