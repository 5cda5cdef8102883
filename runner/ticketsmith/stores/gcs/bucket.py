"""The few verbs of a bucket that a store needs, retried where that is safe.

Every write names the generation it replaces (0: there must be none), so that it may be repeated: a second try that
is refused because the first one arrived is recognised by the writer's mark.
"""

import base64
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import google_crc32c
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption

from ticketsmith.stores.files import told as told_of_files
from ticketsmith.stores.gcs.told import may_pass, told

CHUNK = 16 * 2**20
"""Bytes sent in one request of a resumable upload: what a broken connection costs."""
_TIMEOUT = (20, 60)
"""Seconds to connect, and to wait for an answer."""
_SESSIONS = 3
"""Upload sessions tried for one file: one that lost its place begins anew."""
_PAGE = 1000
"""Names asked for at once: the most the service gives."""
_WRITER = "writer"


@dataclass(frozen=True)
class Seen:
    """An object as it was found."""

    generation: int
    written_at: datetime
    """By the server's clock."""
    writer: str | None
    """Mark of the write that made it."""


class Bucket:
    """One bucket, with a connection of its own. Failures are Problems, told in one sentence."""

    def __init__(self, name: str, retry_seconds: float) -> None:
        self._name = name
        self._retry_seconds = retry_seconds
        with told("open", f"gs://{name}"):
            self._client = storage.Client(project=None)  # objects are found by their bucket alone
        self._bucket = self._client.bucket(name)

    def address(self, name: str) -> str:
        """An object's address, for people."""
        return f"gs://{self._name}/{name}"

    def look(self, name: str) -> Seen | None:
        """The object now, or None."""
        with told("read", self.address(name)):
            blob = self._bucket.get_blob(name, **self._calmly())
        if blob is None:
            return None
        return Seen(int(blob.generation), blob.time_created, (blob.metadata or {}).get(_WRITER))

    def create(
        self, name: str, text: str, retrying: Callable[[], None] | None = None
    ) -> Seen | None:
        """Write a text that must not be there; None if it is."""
        return self.replace(name, text, 0, retrying)

    def replace(
        self, name: str, text: str, generation: int, retrying: Callable[[], None] | None = None
    ) -> Seen | None:
        """Write a text over exactly that generation; None if the object is another by now.

        `retrying` is called before every further try and may raise.
        """
        data = text.encode()

        def send(blob: Any, guard: dict[str, Any]) -> None:
            blob.upload_from_string(data, "text/plain; charset=utf-8", checksum="crc32c", **guard)

        return self._write(name, generation, {}, send, retrying)

    def upload(
        self,
        name: str,
        file: Path,
        sha256: str,
        generation: int,
        retrying: Callable[[], None] | None = None,
    ) -> Seen | None:
        """Write a file over exactly that generation, in chunks; None if the object is another by now.

        The server compares the checksum before the object appears: no part of a file is ever visible.
        """
        crc32c = _crc32c(file)

        def send(blob: Any, guard: dict[str, Any]) -> None:
            blob.upload_from_filename(
                str(file), checksum="crc32c", crc32c_checksum_value=crc32c, **guard
            )

        with told_of_files("read", file):
            return self._write(name, generation, {"sha256": sha256}, send, retrying)

    def read(self, name: str) -> bytes | None:
        """The object's bytes, checked against its checksum; None if it is not there."""
        with told("read", self.address(name)):
            try:
                content = self._bucket.blob(name).download_as_bytes(
                    checksum="crc32c", **self._calmly()
                )
            except api.NotFound:
                return None
        return bytes(content)

    def download(self, name: str, target: Path) -> bool:
        """Have the object in `target`, checked against its checksum; False, and no file, if it is not there."""
        with told_of_files("write", target), told("read", self.address(name)):
            try:
                self._bucket.blob(name).download_to_filename(
                    str(target), checksum="crc32c", **self._calmly()
                )
            except api.NotFound:
                return False
        return True

    def delete(
        self, name: str, generation: int | None = None, retry_seconds: float | None = None
    ) -> None:
        """Remove an object, or only that generation of it, if it is there."""
        with told("remove", self.address(name)):
            try:
                self._bucket.blob(name, generation=generation).delete(
                    **self._calmly(retry_seconds=retry_seconds)
                )
            except api.NotFound:
                return

    def touch(self, name: str) -> None:
        """Write an empty object, whatever is there: whoever wrote last, it is the same."""
        with told("write", self.address(name)):
            self._bucket.blob(name).upload_from_string(b"", checksum="crc32c", **self._calmly())

    def names(self, prefix: str) -> Iterator[str]:
        """Names of the objects that begin so, in order, page by page."""
        for name, _, _ in self.list(prefix):
            yield name

    def list(self, prefix: str) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and Unix time of the last change of the objects that begin so, in order, page by page."""
        with told("list", self.address(prefix)):
            found = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                fields="items(name,size,updated),nextPageToken",
                page_size=_PAGE,
                **self._calmly(),
            )
            for blob in found:
                yield str(blob.name), int(blob.size or 0), blob.updated.timestamp()

    def _write(
        self,
        name: str,
        generation: int,
        metadata: dict[str, str],
        send: Callable[[Any, dict[str, Any]], None],
        retrying: Callable[[], None] | None,
    ) -> Seen | None:
        mark = secrets.token_hex(8)
        guard = {"if_generation_match": generation, **self._calmly(retrying)}
        with told("write", self.address(name)):
            for left in reversed(range(_SESSIONS)):
                blob = self._bucket.blob(name, chunk_size=CHUNK)
                blob.metadata = {_WRITER: mark, **metadata}
                try:
                    send(blob, guard)
                except api.PreconditionFailed:
                    seen = self.look(name)
                    return seen if seen is not None and seen.writer == mark else None
                except (DataCorruption, ValueError, api.GoogleAPICallError) as error:
                    if not left or not _lost_its_place(error):
                        raise
                    if retrying:
                        retrying()
                else:
                    return Seen(int(blob.generation), blob.time_created, mark)
        raise AssertionError("the last session returns or raises")

    def _calmly(
        self, retrying: Callable[[], None] | None = None, retry_seconds: float | None = None
    ) -> dict[str, Any]:
        """How every request waits, and for how long it is repeated."""

        def failed(error: Exception) -> None:
            del error
            if retrying:
                retrying()

        retry = Retry(
            predicate=may_pass,
            initial=0.5,
            maximum=8.0,
            timeout=self._retry_seconds if retry_seconds is None else retry_seconds,
            on_error=failed,
        )
        return {"timeout": _TIMEOUT, "retry": retry}


def _lost_its_place(error: Exception) -> bool:
    """Whether an upload's session is of no use any more: refused, forgotten, or out of step with the file."""
    return not isinstance(error, api.GoogleAPICallError) or error.code in (400, 404, 410)


def _crc32c(file: Path) -> str:
    extend: Callable[[int, bytes], int] = google_crc32c.extend
    checksum = 0
    with told_of_files("read", file), file.open("rb") as stream:
        while block := stream.read(2**20):
            checksum = extend(checksum, block)
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
