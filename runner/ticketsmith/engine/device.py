"""Where a round computes, and with how many threads. Set once, at the start of a round's process."""

import os

import torch

from ticketsmith.experiment.problems import BadSpec

DEVICE_VARIABLE = "TICKETSMITH_DEVICE"
THREADS_VARIABLE = "TICKETSMITH_THREADS"


def choose_device() -> torch.device:
    """$TICKETSMITH_DEVICE, else the GPU if there is one, else the CPU; BadSpec if what is named is not there."""
    named = os.environ.get(DEVICE_VARIABLE)
    if not named:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(named)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadSpec(
            f"{DEVICE_VARIABLE} is {named!r}, which this machine does not have"
            f" ({str(error).splitlines()[0]}): use cpu, or cuda where there is a GPU"
        ) from error
    return device


def prepare(device: torch.device) -> None:
    """Apply $TICKETSMITH_THREADS and make repeated runs equal as far as the device allows.

    On the CPU a run is bit-identical at the same thread count. On CUDA the convolutions are held to deterministic
    algorithms; some other kernels (index backward, atomics) still are not, so results there agree only closely.
    """
    threads = os.environ.get(THREADS_VARIABLE)
    if threads:
        if not threads.isdecimal() or int(threads) < 1:
            raise BadSpec(f"{THREADS_VARIABLE} is {threads!r}: set a whole number of at least 1")
        torch.set_num_threads(int(threads))
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
