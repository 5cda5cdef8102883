"""Artifacts in a folder: <root>/<key>/<name>. Any number of processes may share it."""

import errno
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores.base import Held, Stored
from ticketsmith.stores.files import (
    create_text,
    locked,
    make_folder,
    sha256_of,
    share,
    sync,
    told,
)
from ticketsmith.stores.names import checked_key, checked_name, is_key, is_name

_LOCK = ".lock"
_SCRATCH = ".unfinished"


class DirectoryStore:
    """A Store in a local or shared folder. Folders appear when something is first written."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        # Where locks do not reach from node to node, two at the same key must not write one file.
        self._scratch = Path(_SCRATCH, secrets.token_hex(4))

    @property
    def uri(self) -> str:
        return self.root.as_uri()

    @contextmanager
    def exclusive(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """See Store.exclusive: a lock on <key>/.lock, held by the open file and so by the process."""
        folder = self._folder(key)
        with ExitStack() as held:
            with told("lock", folder):
                try:
                    self._lock(folder, held, wait)
                except BlockingIOError:
                    raise Held(f"another process works in {folder}: try again later") from None
            # What lies there now, a killed process left behind.
            shutil.rmtree(folder / _SCRATCH, ignore_errors=True)
            try:
                yield
            finally:
                self._tidy(folder)

    def _lock(self, folder: Path, held: ExitStack, wait: bool) -> None:
        while True:
            make_folder(folder)
            with suppress(FileNotFoundError):  # whoever held it last has removed the folder
                held.enter_context(locked(folder / _LOCK, wait=wait))
                return

    def _tidy(self, folder: Path) -> None:
        """Remove the folder, by whoever holds its lock, where nothing is stored in it."""
        with suppress(OSError):
            for scratch in (folder / self._scratch, folder / _SCRATCH):
                if scratch.is_dir():
                    scratch.rmdir()
            if {path.name for path in folder.iterdir()} == {_LOCK}:
                (folder / _LOCK).unlink()
                folder.rmdir()

    def scratch(self, key: str) -> Path:
        """See Store.scratch. It lies in the store, so that `put` only renames."""
        folder = self._folder(key) / self._scratch
        with told("create the folder", folder):
            make_folder(folder)
        return folder

    def put(self, key: str, name: str, file: Path) -> str:
        """See Store.put. A file from `scratch` is moved; any other is copied and stays where it is."""
        target = self._path(key, name)
        scratch = self.scratch(key)
        with told("write", target):
            if file.resolve().parent == scratch.resolve():
                return _move(file, target)
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                return _move(Path(shutil.copyfile(file, Path(folder) / name)), target)

    def create_text(self, key: str, name: str, text: str) -> bool:
        """See Store.create_text."""
        target = self._path(key, name)
        with told("write", target):
            make_folder(target.parent)
            return create_text(target, text)

    def read_text(self, key: str, name: str) -> str | None:
        """See Store.read_text."""
        path = self._path(key, name)
        with told("read", path):
            try:
                return path.read_bytes().decode()  # as bytes: a text keeps its line ends
            except FileNotFoundError:
                return None
            except UnicodeDecodeError as error:
                raise BadSpec(
                    f"{path} is damaged: it is not UTF-8 text; {_redo(path.parent)}"
                ) from error

    def fetch(self, key: str, name: str, sha256: str | None = None) -> Path:
        """See Store.fetch."""
        path = self._path(key, name)
        with told("read", path):
            if not path.is_file():
                raise BadSpec(f"{path} is missing; {_redo(path.parent)}")
            found = sha256_of(path) if sha256 is not None else None
        if found != sha256:
            raise BadSpec(
                f"{path} is damaged: its SHA-256 is {found}, result.json says {sha256}; {_redo(path.parent)}"
            )
        return path

    def touch(self, key: str, name: str) -> None:
        """See Store.touch."""
        path = self._path(key, name)
        with told("write", path):
            make_folder(path.parent)
            with suppress(PermissionError):  # another user made it: it counts as old as it is
                path.touch()
                share(path)

    def remove(self, key: str, name: str) -> None:
        """See Store.remove."""
        path = self._path(key, name)
        with told("remove", path):
            path.unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """See Store.keys. Locks and unfinished files alone do not count as stored."""
        with told("read", self.root):
            folders = sorted(self.root.iterdir()) if self.root.exists() else []
        for folder in folders:
            if is_key(folder.name) and folder.is_dir():
                with told("read", folder):
                    stored = any(is_name(file.name) for file in folder.iterdir())
                if stored:
                    yield folder.name

    def files(self, key: str | None = None) -> Iterator[Stored]:
        """See Store.files."""
        for found in list(self.keys()) if key is None else [checked_key(key)]:
            folder = self.root / found
            with told("read", folder):
                paths = sorted(folder.iterdir()) if folder.is_dir() else []
            for path in paths:
                if not is_name(path.name):
                    continue
                with told("read", path), suppress(FileNotFoundError):  # it went meanwhile
                    seen = path.lstat()
                    if stat.S_ISREG(seen.st_mode):
                        yield Stored(found, path.name, seen.st_size, seen.st_mtime)

    def prove_writable(self) -> None:
        """Write and remove a small file; BadSpec tells why that fails."""
        with told("write to the artifact store", self.root):
            make_folder(self.root)
            with tempfile.NamedTemporaryFile(dir=self.root, prefix=".probe") as probe:
                probe.write(b"\0" * 4096)
                probe.flush()

    def _folder(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _path(self, key: str, name: str) -> Path:
        return self._folder(key) / checked_name(name)


def _move(file: Path, target: Path) -> str:
    """Rename within the store, both ends synced; the SHA-256 is of the bytes that were synced."""
    if not file.is_file():
        raise FileNotFoundError(errno.ENOENT, f"{file} is not there", str(file))
    share(file)
    sync(file)
    digest = sha256_of(file)
    file.replace(target)
    sync(target.parent)
    return digest


def _redo(folder: Path) -> str:
    return f"remove {folder} to have the round done again"
