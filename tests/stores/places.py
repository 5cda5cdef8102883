"""The kinds of places a store may be in, as the tests see them: from outside, behind the store's back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fake_gcs import FakeGcs


class Place(Protocol):
    """Where one store lies."""

    uri: str

    def files(self, key: str) -> list[str]:
        """Names of what is stored under a key; a store's own names begin with a dot and are left out."""
        ...

    def everything(self) -> list[str]:
        """Names of all there is, the store's own too."""
        ...

    def content(self, key: str, name: str) -> bytes:
        """The bytes of a file."""
        ...

    def overwrite(self, key: str, name: str, content: bytes) -> None:
        """Damage a file."""
        ...

    def address(self, key: str, name: str) -> str:
        """How a file is named to people."""
        ...


@dataclass
class DirectoryPlace:
    """A folder."""

    root: Path

    @property
    def uri(self) -> str:
        return self.root.as_uri()

    def files(self, key: str) -> list[str]:
        folder = self.root / key
        found = folder.iterdir() if folder.exists() else ()
        return sorted(path.name for path in found if not path.name.startswith("."))

    def everything(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*"))

    def content(self, key: str, name: str) -> bytes:
        return (self.root / key / name).read_bytes()

    def overwrite(self, key: str, name: str, content: bytes) -> None:
        path = self.root / key / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def address(self, key: str, name: str) -> str:
        return str(self.root / key / name)


@dataclass
class GcsPlace:
    """A bucket, or a folder of one."""

    server: FakeGcs
    bucket: str
    prefix: str = ""
    """Empty, or ending in a slash."""

    @property
    def uri(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    def files(self, key: str) -> list[str]:
        start = f"{self.prefix}{key}/"
        names = [
            n.removeprefix(start) for n in self.server.names(self.bucket) if n.startswith(start)
        ]
        return [name for name in names if not name.startswith(".")]

    def everything(self) -> list[str]:
        return self.server.names(self.bucket)

    def content(self, key: str, name: str) -> bytes:
        return self.server.read(self.bucket, f"{self.prefix}{key}/{name}")

    def overwrite(self, key: str, name: str, content: bytes) -> None:
        self.server.overwrite(self.bucket, f"{self.prefix}{key}/{name}", content)

    def address(self, key: str, name: str) -> str:
        return f"gs://{self.bucket}/{self.prefix}{key}/{name}"
