"""An experiment on disk: one JSON document, and beside it masks and weights as safetensors.

The tensors' files carry the first digits of their hash in their names, and the document, which names them with their
whole hashes, is renamed into place last. So whatever happens while an experiment is written over another, the folder
holds one of the two whole.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lottery_tickets import masks
from lottery_tickets.masks import Mask

VERSION = 1
State = dict[str, Tensor]


def write(
    folder: str | os.PathLike[str],
    document: Mapping[str, Any],
    mask: Mapping[str, Tensor],
    states: Mapping[str, Mapping[str, Tensor]],
    *,
    name: str = "experiment",
) -> None:
    """Write `document` (JSON; its "kind" says of what) as `name`.json into the folder, with a mask and named states.

    Raises:
        ValueError: The document holds what JSON does not, e.g. NaN.
    """
    from safetensors.torch import save as to_bytes

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    files = {}
    aside = target / f".{name}-mask.{os.getpid()}.partial"
    masks.save(dict(mask), aside)
    files["mask"] = _settle(aside, f"{name}-mask")
    for called, state in states.items():
        aside = target / f".{name}-{called}.{os.getpid()}.partial"
        with aside.open("wb") as file:
            file.write(to_bytes({k: t.contiguous() for k, t in state.items()}))
            _flush(file.fileno())
        files[called] = _settle(aside, f"{name}-{called}")
    whole = {**document, "version": VERSION, "files": files}
    text = json.dumps({**whole, "sha256": _digest(whole)}, indent=2, allow_nan=False)
    aside = target / f".{name}.json.{os.getpid()}.partial"
    with aside.open("w", encoding="utf-8") as out:
        out.write(text + "\n")
        out.flush()
        _flush(out.fileno())
    aside.replace(target / f"{name}.json")
    kept = {one["name"] for one in files.values()}
    for old in target.glob(f"{name}-*.safetensors"):
        if old.name not in kept:
            old.unlink(missing_ok=True)


def read(
    folder: str | os.PathLike[str], kind: str, *, name: str = "experiment"
) -> tuple[dict[str, Any], Mask, dict[str, State]]:
    """The document, the mask and the states that `write` wrote, on the CPU.

    Raises:
        ValueError: A file is missing, truncated or altered, or the document is of another kind; it is named.
        FileNotFoundError: There is no `name`.json.
    """
    from safetensors.torch import load as from_bytes

    source = Path(folder) / f"{name}.json"
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
        told = document.pop("sha256")
        sound = document["version"] == VERSION and document["kind"] == kind
        sound = sound and told == _digest(document)
        files = {called: (one["name"], one["sha256"]) for called, one in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{source} is not a whole experiment ({error}): save it again") from error
    if not sound:
        raise ValueError(f"{source} was altered, or is from another version: save it again")
    mask: Mask = {}
    states: dict[str, State] = {}
    for called, (file, sha256) in files.items():
        path = source.parent / Path(file).name
        content = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(content).hexdigest() != sha256:
            found = "is truncated or was altered" if content else "is missing"
            raise ValueError(f"{path} {found}: its hash is not the one in {source.name}")
        if called == "mask":
            mask = masks.load(path)
        else:
            states[called] = from_bytes(content)
    return document, mask, states


def _settle(aside: Path, stem: str) -> dict[str, str]:
    """Give a whole file the name of its contents."""
    sha256 = hashlib.sha256(aside.read_bytes()).hexdigest()
    name = f"{stem}-{sha256[:12]}.safetensors"
    aside.replace(aside.with_name(name))
    return {"name": name, "sha256": sha256}


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
