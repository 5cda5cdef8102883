"""What the figures of a benchmark on this machine depend on."""

import os
import platform
from pathlib import Path
from typing import Any

from tools.build import KUBERNETES


def environment() -> dict[str, Any]:
    """Processor, versions, and how busy the machine is now."""
    listing = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in listing if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "kubernetes": KUBERNETES.version,
        "loadAverage": os.getloadavg()[0],
    }
