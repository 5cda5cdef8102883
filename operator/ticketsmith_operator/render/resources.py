"""Kubernetes' amounts, and what they mean for a round: how many GPUs, how many threads."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from ticketsmith.experiment.placement import ResourcesSpec

_AMOUNT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:([a-zA-Z]*)|[eE]([-+]?[0-9]+))")
_UNITS: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** n for n, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTPE", start=1)},
}


def amount(written: int | str) -> Decimal:
    """An amount in Kubernetes' notation as a number: 500m is 0.5, 16Gi is 17179869184. ValueError on anything else."""
    parts = _AMOUNT.fullmatch(str(written))
    if parts is None or (parts[2] or "") not in _UNITS:
        raise ValueError(f"{written!r} is no amount")
    number, unit, exponent = parts.groups()
    return Decimal(number).scaleb(int(exponent)) if exponent else Decimal(number) * _UNITS[unit]


def gpu_resources(amounts: Mapping[str, int | str]) -> tuple[str, ...]:
    """The names among these resources that are GPUs: whole ones of NVIDIA or AMD, and NVIDIA's MIG slices."""
    return tuple(name for name in amounts if _is_gpu(name) and amount(amounts[name]))


def gpus(resources: ResourcesSpec) -> int:
    """GPUs a Pod occupies. A MIG slice counts as one: prices are given per slice, and a slice is all the Pod sees."""
    return sum(int(amount(resources.limits[name])) for name in gpu_resources(resources.limits))


def threads(resources: ResourcesSpec) -> int:
    """Threads a round computes with: the whole CPUs it may use, at least 1.

    Without a limit the request counts; without either it is 1, not the node's cores: the round shares them, and on
    another number of threads its last bits would differ.
    """
    cpus = resources.limits.get("cpu", resources.requests.get("cpu", 1))
    return max(1, int(amount(cpus)))


def _is_gpu(name: str) -> bool:
    return name in {"nvidia.com/gpu", "amd.com/gpu"} or name.startswith("nvidia.com/mig-")
