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


def available_bytes(device: torch.device) -> int:
    """Bytes a process may still take on `device`: free GPU memory, or host memory within the cgroup's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    bounds = [_field(Path("/proc/meminfo"), "MemAvailable:") * 1024]
    group = Path("/sys/fs/cgroup")
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is not None and used is not None:
        # The page cache counts as used, but is given back on demand (as Kubernetes reckons, too).
        cache = _field(group / "memory.stat", "inactive_file")
        bounds.append(max(0, limit - used + cache))
    ceiling = resource.getrlimit(resource.RLIMIT_AS)[0]
    if ceiling != resource.RLIM_INFINITY:
        pages = Path("/proc/self/statm").read_text().split()[0]
        bounds.append(max(0, ceiling - int(pages) * resource.getpagesize()))
    return min(bounds)


def check_fits(model: nn.Module, spec: TrainingSpec, device: torch.device) -> None:
    """DoesNotFit if training `model`, which may be on the meta device, is certain to run out of memory."""
    predicted = predicted_bytes(model, spec)
    available = available_bytes(device)
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
            f" ({COUNTED}) and {available_bytes(device):,} are available now"
            f" ({str(error).splitlines()[0]}): use a smaller training.batchSize, a smaller model or a"
            " larger machine"
        ) from error


def is_refusal(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or _CPU_REFUSAL in str(error)


def _field(file: Path, name: str) -> int:
    """The number that follows `name` at the beginning of a line."""
    for line in file.read_text().splitlines():
        words = line.split()
        if words[0] == name:
            return int(words[1])
    raise OSError(f"{file} does not tell {name}")


def _number(file: Path) -> int | None:
    """The number in a cgroup file; None where there is no such file or it says max."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
