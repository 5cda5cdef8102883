"""The sparse file: one bit per prunable weight, and the weights that are not zero. Nothing else is dropped.

A safetensors file. A tensor that is not prunable is stored as it is, under its own name. A prunable tensor
`fc.weight` becomes `fc.weight|bits` (uint8, the bits of the flattened tensor, most significant first) and
`fc.weight|values` (the values whose bit is set, in order); its shape stands in the file's metadata.
"""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ticketsmith.experiment.problems import BadSpec

FORMAT: Final = "ticketsmith-bitmask-1"
_BITS: Final = "|bits"
_VALUES: Final = "|values"
_SAME_WIDTH: Final = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def save_sparse(tensors: Mapping[str, Tensor], prunable: Collection[str], path: Path) -> None:
    """Write `tensors` to `path`, those named in `prunable` as bits and values.

    A bit is set where the weight's bit pattern is not all zeros, so reading back gives the very same bits,
    negative zeros included.
    """
    stored: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if name not in prunable:
            stored[name] = tensor
            continue
        flat = tensor.reshape(-1)
        keep = flat.view(_SAME_WIDTH[flat.element_size()]) != 0
        stored[name + _BITS] = torch.from_numpy(np.packbits(keep.numpy()))
        stored[name + _VALUES] = flat[keep]
        shapes[name] = list(tensor.shape)
    save_file(stored, path, metadata={"format": FORMAT, "shapes": json.dumps(shapes)})


def load_sparse(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file that `save_sparse` wrote, dense again and bit for bit the same.

    Raises:
        BadSpec: the file is not one of ours, or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadSpec(f"{path} cannot be read as safetensors ({error}): write it again") from error
    if metadata.get("format") != FORMAT:
        raise BadSpec(
            f"{path} has format {metadata.get('format')!r}, not {FORMAT!r}: read it as plain safetensors"
        )
    shapes: dict[str, list[int]] = json.loads(metadata["shapes"])
    packed = {name + ending for name in shapes for ending in (_BITS, _VALUES)}
    tensors = {name: tensor for name, tensor in stored.items() if name not in packed}
    for name, shape in shapes.items():
        tensors[name] = _unpack(stored[name + _BITS], stored[name + _VALUES], shape, path, name)
    return tensors


def _unpack(bits: Tensor, values: Tensor, shape: list[int], path: Path, name: str) -> Tensor:
    keep = torch.from_numpy(np.unpackbits(bits.numpy(), count=math.prod(shape))).bool()
    if int(keep.sum()) != values.numel():
        raise BadSpec(
            f"{path}: {name} has {int(keep.sum())} bits set and {values.numel()} values: write it again"
        )
    flat = torch.zeros(math.prod(shape), dtype=values.dtype)
    flat[keep] = values
    return flat.reshape(shape)
