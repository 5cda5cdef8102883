"""What every artifact store can do. Files lie at <store>/<key>/<name>."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ticketsmith.experiment.problems import Unavailable


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store."""

    key: str
    name: str
    bytes: int
    changed_at: float
    """Unix time of its last write, by the store's own clock."""


class Held(Unavailable):
    """Another process holds the key, and the caller did not want to wait."""


class Store(Protocol):
    """A place for artifacts. Failures are told in a sentence: Unavailable where trying again may help, else BadSpec."""

    @property
    def uri(self) -> str:
        """Where it is, as written in artifacts.uri."""
        ...

    def exclusive(self, key: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Held while one process works on `key`; another waits, or is told `Held` at once. It ends with the process,
        however that ends: at once, or after a lease. Where a lease can be lost, the next write tells so by Unavailable
        and nothing is written."""
        ...

    def scratch(self, key: str) -> Path:
        """A local folder for unfinished files of `key`; what `put` takes should be written there."""
        ...

    def put(self, key: str, name: str, file: Path) -> str:
        """Take `file` into the store whole or not at all, replacing what was there; returns its SHA-256 (hex)."""
        ...

    def create_text(self, key: str, name: str, text: str) -> bool:
        """Write a text that must not exist yet; False, and nothing changed, if it does."""
        ...

    def read_text(self, key: str, name: str) -> str | None:
        """A text, or None if it is not there."""
        ...

    def fetch(self, key: str, name: str, sha256: str | None = None) -> Path:
        """A local path to read the file from, there until the process ends or lets go of the key it holds. BadSpec
        names the file if it is missing, or if `sha256` is given and does not match."""
        ...

    def touch(self, key: str, name: str) -> None:
        """Leave an empty file that counts as changed now, whoever else does the same at the same time."""
        ...

    def remove(self, key: str, name: str) -> None:
        """Remove a file if it is there."""
        ...

    def keys(self) -> Iterator[str]:
        """Keys that have anything stored, in order."""
        ...

    def files(self, key: str | None = None) -> Iterator[Stored]:
        """Every file below a key, or below all of them, key by key. What is not a round's is left out."""
        ...
