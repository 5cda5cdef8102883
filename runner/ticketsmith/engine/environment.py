"""What a result was made with, so that a reader can judge whether it carries over. No host names."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ticketsmith import __version__
from ticketsmith.experiment.results import Environment

DECISIVE = ("torch", "torchvision", "numpy", "safetensors", "scikit-learn", "pillow")
"""Libraries whose version can change a result."""


def environment(device: torch.device) -> Environment:
    """Describe this process and `device`."""
    gpu = device.type == "cuda"
    return Environment(
        ticketsmith=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        platform=f"{sys.platform} {platform.machine()}",
        processor=processor(),
        device=device_words(device),
        gpus=1 if gpu else 0,
        threads=torch.get_num_threads(),
        cuda=torch.version.cuda if gpu else None,
        packages=_versions(),
    )


def device_words(device: torch.device) -> str:
    """The device as people call it: cpu, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def processor() -> str:
    """The processor's model name, and its architecture where Linux does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
