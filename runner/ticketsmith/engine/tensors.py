"""Named tensors in memory and on disk: safetensors only, since unpickling an artifact would run its code."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores.files import told

_OS_ERROR = re.compile(r"(.*) \(os error (\d+)\)")


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers, safe from further training."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, types, shapes and bytes; equal exactly when the tensors are bit-identical."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sha.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def write(state: Mapping[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> Path:
    """Write tensors to `file`; BadSpec if the disk is full or read-only."""
    ready = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with told("write", file):
        try:
            save_file(ready, file, metadata=metadata)
        except SafetensorError as error:
            found = _OS_ERROR.search(str(error))
            if found is None:
                raise
            raise OSError(int(found[2]), found[1], str(file)) from error
        file.chmod(0o644)  # safetensors makes it private; artifacts are for others to read too
    return file


def read(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU; BadSpec names a file that is none."""
    return read_with_metadata(file)[0]


def read_with_metadata(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file and the texts in its header."""
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            names = list(opened.keys())
            # Cloned: what get_tensor returns may still lie in the mapped file.
            return {n: opened.get_tensor(n).clone() for n in names}, opened.metadata() or {}
    except (SafetensorError, json.JSONDecodeError, ValueError) as error:
        raise BadSpec(
            f"{file} is not a whole safetensors file ({error}): remove it and run its round again"
        ) from error


def load_into(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy `state` into the model in place; BadSpec names `source` if it is another network's."""
    try:
        model.load_state_dict(dict(state))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise BadSpec(
            f"{source} holds the weights of another network than this spec builds ({first}):"
            " run it with the model it was made with"
        ) from error
