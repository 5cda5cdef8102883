"""Does training fit? What is certain is counted first, since Linux kills a process that takes too much."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ticketsmith.engine.optimizers import state_tensors
from ticketsmith.experiment.problems import DoesNotFit
from ticketsmith.experiment.spec import TrainingSpec

COUNTED = "weights, gradients, optimizer state, mask and kept copies; activations come on top"
_CPU_REFUSAL = "can't allocate memory"


def predicted_bytes(model: nn.Module, spec: TrainingSpec) -> int:
    """Bytes that training `model` needs at the least: what is COUNTED, without activations and data."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    copies = 1 if spec.select == "bestValidation" else 0
    gradients = masks = 1
    tensors = 1 + gradients + masks + state_tensors(spec.optimizer) + copies
    return weights * tensors + buffers * (1 + copies)


def held_bytes(model: nn.Module) -> int:
    """Bytes of `predicted_bytes` that a built model already occupies."""
    held = [*model.parameters(), *model.buffers()]
    return sum(t.numel() * t.element_size() for t in held)


def available_bytes(device: torch.device) -> int:
    """Bytes a process may still take on `device`: free GPU memory, or host memory within the cgroup's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    bounds = [_system_available()]
    group = Path("/sys/fs/cgroup")
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is not None and used is not None:
        bounds.append(max(0, limit - used))
    ceiling = resource.getrlimit(resource.RLIMIT_AS)[0]
    if ceiling != resource.RLIM_INFINITY:
        pages = Path("/proc/self/statm").read_text().split()[0]
        bounds.append(max(0, ceiling - int(pages) * resource.getpagesize()))
    return min(bounds)


def check_fits(model: nn.Module, spec: TrainingSpec, device: torch.device) -> None:
    """DoesNotFit if training the built `model` on `device` is certain to run out of memory."""
    predicted = predicted_bytes(model, spec)
    available = available_bytes(device) + held_bytes(model)
    if predicted > available:
        raise DoesNotFit(
            f"training needs at least {predicted:,} bytes ({COUNTED}) and {available:,} are available on"
            f" {device}: use a smaller model or a larger machine"
        )


@contextmanager
def told_if_exhausted(
    model: nn.Module | None, spec: TrainingSpec, device: torch.device
) -> Iterator[None]:
    """Turn an allocation that fails inside into DoesNotFit, with predicted and available bytes."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_refusal(error):
            raise
        wanted = (
            "the network itself does not fit"
            if model is None
            else f"at least {predicted_bytes(model, spec):,} bytes were predicted ({COUNTED})"
        )
        raise DoesNotFit(
            f"out of memory on {device}: {wanted} and {available_bytes(device):,} are available now"
            f" ({str(error).splitlines()[0]}): use a smaller training.batchSize, a smaller model or a"
            " larger machine"
        ) from error


def _is_refusal(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or _CPU_REFUSAL in str(error)


def _system_available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo does not tell MemAvailable")


def _number(file: Path) -> int | None:
    """The number in a cgroup file; None where there is no such file or it says max."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
