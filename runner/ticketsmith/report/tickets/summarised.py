"""Results as JSON: numbers as numbers, tensors as what can be said of them."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

FIGURES = frozenset({"x", "y", "loss", "spearman", "top_k_overlap"})
"""Tensors that are the result itself, a grid of figures, are written out; they belong to no weight."""
_MOST = 10_000


def as_json(results: Mapping[str, Any]) -> str:
    """All results; equal results give equal text. What is no number (NaN, infinite) is null."""
    return (
        json.dumps({"results": plain(results)}, indent=2, allow_nan=False, ensure_ascii=False)
        + "\n"
    )


def plain(value: Any, name: str = "") -> Any:
    """The value in types that JSON has."""
    if isinstance(value, Tensor):
        if name in FIGURES and value.numel() <= _MOST:
            return plain(value.tolist())
        return summary(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner, str(key)) for key, inner in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: plain(getattr(value, one.name), one.name)
            for one in dataclasses.fields(value)
            if not one.name.startswith("_")
        }
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(inner) for inner in ordered]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath | torch.dtype | torch.device):
        return str(value)
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return plain(item())
    return {"type": type(value).__name__}


def summary(tensor: Tensor) -> dict[str, Any]:
    """What can be said of a tensor: shape, and how many of a mask are kept, or between what its values lie."""
    about: dict[str, Any] = {
        "tensor": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
    }
    if tensor.is_meta:
        return about
    if tensor.dtype == torch.bool:
        kept = int(torch.count_nonzero(tensor))
        return about | {
            "kept": kept,
            "total": tensor.numel(),
            "sparsity": 1 - kept / tensor.numel() if tensor.numel() else 0.0,
        }
    if tensor.is_complex() or not tensor.numel():
        return about
    total, squares, count, zeros = 0.0, 0.0, 0, 0
    low, high = math.inf, -math.inf
    for part in torch.split(tensor.detach().reshape(-1), 1 << 22):
        zeros += int((part == 0).sum())
        values = part.double()
        values = values[torch.isfinite(values)]
        if len(values):
            count += len(values)
            total += float(values.sum())
            squares += float(values.square().sum())
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    mean = total / count if count else math.nan
    deviation = math.sqrt(max(0.0, squares / count - mean**2)) if count else math.nan
    figures = {"mean": mean, "std": deviation, "min": low, "max": high}
    return about | {
        **{name: plain(value) for name, value in figures.items()},
        "zeros": zeros,
        "not_finite": tensor.numel() - count,
    }
