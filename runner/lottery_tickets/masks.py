"""Masks: which weights are kept. Plain dicts of bool tensors, True is kept."""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.modules import named

Mask = dict[str, Tensor]
"""Parameter name -> bool tensor of that parameter's shape, in parameter order; True is kept."""

_HEADER = "lottery_tickets.mask"


def full(parameters: Mapping[str, Tensor]) -> Mask:
    """The mask that keeps everything, on each parameter's device."""
    return {name: torch.ones_like(p, dtype=torch.bool) for name, p in parameters.items()}


def apply(
    model_or_parameters: nn.Module | Mapping[str, Tensor], mask: Mapping[str, Tensor]
) -> None:
    """Set the pruned weights to +0 in place; parameters that the mask does not name stay as they are.

    Raises:
        ValueError: The mask names tensors that are not there, or of another shape; all are listed and nothing
            is changed.
    """
    parameters = named(model_or_parameters)
    check_fit(mask, {name: parameters[name] for name in mask if name in parameters})
    with torch.no_grad():
        for name, kept in mask.items():
            weight = parameters[name]
            # Not multiplied: that would leave -0, and NaN where the weight is not finite.
            weight.masked_fill_(~kept.to(weight.device), 0)


def counts(mask: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Parameter name -> (weights kept, weights in all)."""
    return {name: (int(torch.count_nonzero(m)), m.numel()) for name, m in mask.items()}


def sparsity(mask: Mapping[str, Tensor]) -> float:
    """Fraction of the mask's weights that are pruned; 0 for a mask of no weights."""
    kept, total = map(sum, zip(*counts(mask).values(), strict=True)) if mask else (0, 0)
    return 1 - kept / total if total else 0.0


def is_subset(child: Mapping[str, Tensor], parent: Mapping[str, Tensor]) -> bool:
    """Whether `child` keeps nothing that `parent` pruned.

    Raises:
        ValueError: The two differ in names or shapes; all that do are listed.
    """
    check_fit(child, parent)
    return not any(
        bool((kept & ~parent[name].to(kept.device)).any()) for name, kept in child.items()
    )


def check_fit(mask: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """ValueError unless the mask has a bool tensor of equal shape for each of `tensors`, and no other; it lists
    everything that is wrong."""
    faults = [f"{name!r} has no mask" for name in tensors if name not in mask]
    for name, kept in mask.items():
        if name not in tensors:
            faults.append(f"the mask's {name!r} is not among the tensors")
        elif kept.shape != tensors[name].shape:
            shapes = f"{tuple(kept.shape)} for a tensor of {tuple(tensors[name].shape)}"
            faults.append(f"the mask of {name!r} is {shapes}")
        elif kept.dtype != torch.bool:
            faults.append(f"the mask of {name!r} is {kept.dtype} instead of torch.bool")
    if faults:
        raise ValueError("the mask does not fit: " + "; ".join(faults))


def save(mask: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write a mask as safetensors, a bit a weight; the same mask always gives the same bytes.

    Each tensor becomes ceil(n / 8) bytes: flat index 8 j + i is bit i (of value 2^i) of byte j, spare bits are 0.
    The one metadata entry, `lottery_tickets.mask`, is JSON: version, shapes (in parameter order) and the SHA-256
    of shapes and bytes. The file is written aside and renamed, so that it is whole or not there.

    Raises:
        ValueError: A tensor is not bool.
    """
    from safetensors.torch import save as to_bytes  # all else needs torch alone

    check_fit(mask, mask)
    packed = {name: _pack(kept) for name, kept in mask.items()}
    shapes = {name: list(kept.shape) for name, kept in mask.items()}
    # One entry only: safetensors does not fix the order of several.
    header = json.dumps({"version": 1, "shapes": shapes, "sha256": _digest(shapes, packed)})
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with aside.open("wb") as file:
            file.write(to_bytes(packed, {_HEADER: header}))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Mask:
    """Read a mask that `save` wrote, onto the CPU, in parameter order.

    Raises:
        ValueError: The file is truncated, altered, or not a mask; it is named.
        FileNotFoundError: It is not there.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        shapes: dict[str, list[int]] = header["shapes"]
        sound = (
            header["version"] == 1
            and {name: (bits.dtype, bits.shape) for name, bits in packed.items()}
            == {name: (torch.uint8, (_bytes(shape),)) for name, shape in shapes.items()}
            and header["sha256"] == _digest(shapes, packed)
        )
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a whole mask file: make it again ({error})") from error
    if not sound:
        raise ValueError(
            f"{path} is damaged, or from another version: its contents do not match its hash: make it again"
        )
    return {name: _unpack(packed[name], shape) for name, shape in shapes.items()}


def _digest(shapes: Mapping[str, Any], packed: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(shapes).encode())
    for name in shapes:
        digest.update(packed[name].numpy().data)
    return digest.hexdigest()


def _bytes(shape: Sequence[int]) -> int:
    return math.ceil(math.prod(shape) / 8)


def _pack(kept: Tensor) -> Tensor:
    flat = kept.detach().cpu().reshape(-1).to(torch.uint8)
    padded = torch.zeros(_bytes(flat.shape), 8, dtype=torch.uint8, device="cpu")
    padded.view(-1)[: len(flat)] = flat
    return padded.bitwise_left_shift_(_PLACES).sum(1, dtype=torch.uint8)


def _unpack(packed: Tensor, shape: list[int]) -> Tensor:
    bits = packed.unsqueeze(1).bitwise_right_shift(_PLACES).bitwise_and_(1).view(-1)
    return bits[: math.prod(shape)].to(torch.bool).view(shape)


_PLACES = torch.arange(8, dtype=torch.uint8, device="cpu")
