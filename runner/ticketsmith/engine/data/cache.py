"""Decoded images kept between rounds: one safetensors file a source, below the user's cache folder."""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ticketsmith.engine.data.base import Raw, Split
from ticketsmith.experiment.base import fingerprint
from ticketsmith.experiment.problems import BadSpec

LAYOUT = 1
"""Part of every file's name; raised when the same source would be decoded differently."""


def folder() -> Path:
    """$XDG_CACHE_HOME/ticketsmith, by default ~/.cache/ticketsmith."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "ticketsmith"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Held by one process of this machine at a time; let go however the process ends."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(name: str, identity: Any, make: Callable[[], Raw]) -> Raw:
    """What `make` returns, made once for each JSON value `identity` of the source; BadSpec if it can't be kept."""
    file = folder() / f"{name}-{fingerprint([LAYOUT, identity])}.safetensors"
    try:
        if kept := _read(file):
            return kept
        with locked(file.stem):
            if kept := _read(file):  # another process made it meanwhile
                return kept
            raw = make()
            _write(file, raw)
            return raw
    except OSError as error:
        raise BadSpec(
            f"the decoded images of {name} cannot be kept in {folder()} ({error.strerror or error}): "
            "make room there, or set XDG_CACHE_HOME to a folder that can be written to"
        ) from error


def _read(file: Path) -> Raw | None:
    """The kept data set; None if there is none, or it was damaged and has to be made again."""
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            about = json.loads(opened.metadata()["ticketsmith"])
            splits = {
                split: Split(
                    opened.get_tensor(f"{split}.images"), opened.get_tensor(f"{split}.labels")
                )
                for split in about["splits"]
            }
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None
    return Raw(class_names=tuple(about["classes"]), source=about["source"], **splits)


def _write(file: Path, raw: Raw) -> None:
    """Aside and renamed, so that a file under its own name is always whole."""
    splits = {"train": raw.train, "test": raw.test, "validation": raw.validation}
    there = {name: split for name, split in splits.items() if split is not None}
    tensors = {
        f"{name}.{part}": getattr(split, part)
        for name, split in there.items()
        for part in ("images", "labels")
    }
    about = {"splits": list(there), "classes": raw.class_names, "source": raw.source}
    aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        save_file(tensors, aside, metadata={"ticketsmith": json.dumps(about)})
        aside.replace(file)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        aside.unlink(missing_ok=True)
