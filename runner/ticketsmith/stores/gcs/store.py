"""Artifacts as objects <prefix>/<key>/<name> of a bucket. Any number of machines may share it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING

from ticketsmith.experiment.problems import BadSpec, Unavailable
from ticketsmith.stores.base import Held, Stored
from ticketsmith.stores.files import sha256_of, told
from ticketsmith.stores.names import checked_key, checked_name, is_key, is_name

if TYPE_CHECKING:
    from ticketsmith.stores.gcs.bucket import Bucket, Seen
    from ticketsmith.stores.gcs.lease import Lease

LEASE_VARIABLE = "TICKETSMITH_LEASE_SECONDS"
LEASE_SECONDS = 60.0
RETRY_VARIABLE = "TICKETSMITH_RETRY_SECONDS"
RETRY_SECONDS = 300.0
_LOCK = ".lock"
_REPLACEMENTS = 5
"""Tries to replace an object that others replace at the same time."""


class GcsStore:
    """A Store in Google Cloud Storage, reached with Application Default Credentials when it is first used."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._name = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._leases: dict[str, Lease] = {}
        self._generations: dict[str, int] = {}
        """Generation of each object this process has written under a lease."""
        self._folder: Path | None = None
        """Of local files, once there are some."""
        self._clear: Finalize[None] | None = None

    @property
    def uri(self) -> str:
        return f"gs://{self._name}/{self._prefix}".rstrip("/")

    @contextmanager
    def exclusive(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """See Store.exclusive. Of a holder that dies, the lease ends after $TICKETSMITH_LEASE_SECONDS.

        A holder that was silent for so long and then finds another in its place gets LostLease at its next write.
        """
        name, seconds = self._object(key, _LOCK), _seconds(LEASE_VARIABLE, LEASE_SECONDS)
        own = self._connect()  # renewals must not wait behind a large upload
        from ticketsmith.stores.gcs.lease import Lease

        lease = Lease(own, name, seconds)
        if not lease.acquire(wait=wait):
            raise Held(f"another process works in {self.uri}/{key}: try again later")
        self._leases[key] = lease
        try:
            yield
        finally:
            del self._leases[key]
            self._generations.clear()
            self._clear_local()
            lease.release()

    def scratch(self, key: str) -> Path:
        """See Store.scratch. It lies below $TMPDIR, and goes when the key is let go or the process ends."""
        return self._local(checked_key(key), "unfinished")

    def put(self, key: str, name: str, file: Path) -> str:
        """See Store.put. A file from `scratch` is removed once it is stored; any other stays where it is."""
        target = self._path(key, name)
        with told("read", file):
            sha256 = sha256_of(file)
        for _ in range(_REPLACEMENTS):
            self._prove(key)()
            written = self._bucket.upload(
                target, file, sha256, self._generation(target), self._prove(key)
            )
            if written is not None:
                break
            # Another wrote it meanwhile: a former holder's last words, or somebody who has taken over.
            self._generations.pop(target, None)
            if key in self._leases:
                self._leases[key].renew()
        else:
            raise Unavailable(f"{self._bucket.address(target)} is replaced by others all the time")
        self._note(key, target, written)
        if file.resolve().parent == self.scratch(key).resolve():
            with told("remove", file):
                file.unlink()
        return sha256

    def create_text(self, key: str, name: str, text: str) -> bool:
        """See Store.create_text."""
        target = self._path(key, name)
        self._prove(key)()
        written = self._bucket.create(target, text, self._prove(key))
        return written is not None

    def read_text(self, key: str, name: str) -> str | None:
        """See Store.read_text."""
        path = self._path(key, name)
        content = self._bucket.read(path)
        try:
            return content.decode() if content is not None else None
        except UnicodeDecodeError as error:
            raise BadSpec(
                f"{self._bucket.address(path)} is damaged: it is not UTF-8 text; {self._redo(key)}"
            ) from error

    def fetch(self, key: str, name: str, sha256: str | None = None) -> Path:
        """See Store.fetch. The copy lies below $TMPDIR, whole or not at all, and goes as `scratch` does."""
        path = self._path(key, name)
        folder = self._local(key, "fetched")
        part, whole = folder / f".{name}.part", folder / name
        try:
            if not self._bucket.download(path, part):
                raise BadSpec(f"{self._bucket.address(path)} is missing; {self._redo(key)}")
            with told("read", part):
                found = sha256_of(part) if sha256 is not None else None
            if found != sha256:
                raise BadSpec(
                    f"{self._bucket.address(path)} is damaged: its SHA-256 is {found}, "
                    f"result.json says {sha256}; {self._redo(key)}"
                )
            with told("write", whole):
                part.replace(whole)
        finally:
            part.unlink(missing_ok=True)
        return whole

    def touch(self, key: str, name: str) -> None:
        """See Store.touch."""
        self._bucket.touch(self._path(key, name))

    def remove(self, key: str, name: str) -> None:
        """See Store.remove."""
        path = self._path(key, name)
        self._prove(key)()
        self._bucket.delete(path, self._generations.pop(path, None))

    def keys(self) -> Iterator[str]:
        """See Store.keys. Leases alone do not count as stored."""
        last = ""
        for found in self._bucket.names(self._prefix):
            key, _, name = found.removeprefix(self._prefix).partition("/")
            if key != last and is_key(key) and is_name(name):
                last = key
                yield key

    def files(self, key: str | None = None) -> Iterator[Stored]:
        """See Store.files."""
        within = f"{checked_key(key)}/" if key is not None else ""
        for path, size, changed_at in self._bucket.list(f"{self._prefix}{within}"):
            found, _, name = path.removeprefix(self._prefix).partition("/")
            if is_key(found) and is_name(name):
                yield Stored(found, name, size, changed_at)

    def prove_writable(self) -> None:
        """Create and remove a small object; a Problem tells why that fails."""
        probe = f"{self._prefix}.probe-{os.urandom(8).hex()}"
        written = self._bucket.create(probe, "")
        self._bucket.delete(probe, written.generation if written else None)

    @cached_property
    def _bucket(self) -> "Bucket":
        return self._connect()

    def _connect(self) -> "Bucket":
        try:
            from ticketsmith.stores.gcs.bucket import Bucket
        except ModuleNotFoundError as error:
            raise BadSpec(
                f"{self.uri} needs the package google-cloud-storage: pip install 'ticketsmith[gcs]'"
            ) from error
        return Bucket(self._name, _seconds(RETRY_VARIABLE, RETRY_SECONDS))

    def _prove(self, key: str) -> Callable[[], None]:
        """What is to be called before each write: it raises LostLease where `key` was held and no longer is."""
        lease = self._leases.get(key)
        return lease.prove if lease is not None else lambda: None

    def _generation(self, path: str) -> int:
        """The generation to replace; 0 if there is none."""
        if path not in self._generations:
            seen = self._bucket.look(path)
            return seen.generation if seen is not None else 0
        return self._generations[path]

    def _note(self, key: str, path: str, written: "Seen") -> None:
        if key in self._leases:
            self._generations[path] = written.generation

    def _object(self, key: str, name: str) -> str:
        return f"{self._prefix}{checked_key(key)}/{name}"

    def _path(self, key: str, name: str) -> str:
        return self._object(key, checked_name(name))

    def _redo(self, key: str) -> str:
        return f"remove {self.uri}/{key} to have the round done again"

    def _local(self, key: str, kind: str) -> Path:
        with told("create a folder below", Path(tempfile.gettempdir())):
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="ticketsmith-"))
                # Unlike atexit, this also runs at the end of a child of multiprocessing.
                self._clear = Finalize(None, shutil.rmtree, (self._folder, True), exitpriority=1)
            folder = self._folder / key / kind
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _clear_local(self) -> None:
        if self._clear is not None and not self._leases:
            self._clear()
            self._folder = self._clear = None


def _seconds(variable: str, default: float) -> float:
    text = os.environ.get(variable, "")
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds < float("inf"):
        raise BadSpec(f"{variable} is {text!r}: write seconds, at least 1")
    return seconds
