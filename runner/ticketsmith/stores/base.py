"""What every artifact store can do. Files lie at <store>/<key>/<name>."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """A place for artifacts. Failures are told in a sentence: Unavailable where trying again may help, else BadSpec."""

    @property
    def uri(self) -> str:
        """Where it is, as written in artifacts.uri."""
        ...

    def exclusive(self, key: str) -> AbstractContextManager[None]:
        """Held while one process works on `key`; another waits. It ends with the process, however that ends: at once,
        or after a lease. Where a lease can be lost, the next write tells so by Unavailable and nothing is written."""
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

    def remove(self, key: str, name: str) -> None:
        """Remove a file if it is there."""
        ...

    def keys(self) -> Iterator[str]:
        """Keys that have anything stored, in order."""
        ...
