"""How much memory is left."""

import resource
from pathlib import Path

import torch


def available_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that this process may still take on `device`.

    Of CUDA, what the driver says is free (`torch.cuda.mem_get_info`; what torch's allocator keeps for later is not
    in it). Of the CPU, the least of what Linux has available, what the cgroup's limit leaves (page cache counts as
    free, which it is on demand), and what the process's limit on address space leaves.

    Raises:
        ValueError: The device is neither.
        OSError: The system does not say, as outside of Linux.
    """
    where = torch.device(device)
    if where.type == "cuda":
        return int(torch.cuda.mem_get_info(where)[0])
    if where.type != "cpu":
        raise ValueError(
            f"device is {str(device)!r}: available memory is known of 'cpu' and 'cuda'"
        )
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
