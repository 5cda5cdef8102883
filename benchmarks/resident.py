"""Peak memory of this process, as the benchmarks measure it."""

from pathlib import Path

import torch

RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Has glibc's malloc give freed tensors back to the system, so that resident memory is memory in use."""


class Peak:
    """Peak memory from now on, beyond what is there now."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cpu":
            reset()  # else building the network might stand above it
            self.before = status("VmRSS")
        else:
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()

    def extra(self) -> int:
        if self.device == "cpu":
            return status("VmHWM") - self.before
        return torch.cuda.max_memory_allocated() - self.before


def reset() -> None:
    """The kernel's high-water mark starts again."""
    Path("/proc/self/clear_refs").write_text("5")


def status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
