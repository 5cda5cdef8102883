"""What this machine offers: cores, and how they are shared out among rounds."""

import os
from dataclasses import dataclass
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, as far as placing rounds on it goes."""

    cores: int
    gpus: int = 0
    device: str = "cpu"
    """The device rounds compute on, in words, e.g. cpu (AMD EPYC 7B13) or cuda (NVIDIA T4)."""

    @property
    def capacity(self) -> int:
        """Rounds at once where nobody says: one per core, as two single-threaded rounds side by side finish
        sooner than two two-threaded ones in turn; one where there is a GPU, which one round can fill."""
        return 1 if self.gpus else self.cores

    @property
    def words(self) -> str:
        """What benchmark rounds are said to run on; part of their key."""
        return f"{self.device}, {self.cores} cores"

    def threads(self, parallelism: int) -> int:
        """Threads of one round. One number for a whole run, since sums in another order round differently."""
        return max(1, self.cores // parallelism)


def usable_cores(quota: Path = _CGROUP_QUOTA) -> int:
    """Cores this process may use: its CPU affinity, or its container's quota where that is smaller."""
    cores = len(os.sched_getaffinity(0))
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if allowed == "max" else max(1, min(cores, int(allowed) // int(period)))
