"""A Cloud Storage server of the tests' own: fake-gcs-server, in memory, on loopback."""

import json
import socket
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import quote

from supervised import Supervised
from tools.build import FAKE_GCS, binary


class FakeGcs:
    """The running server."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        flags = ["-backend", "memory", "-scheme", "http", "-log-level", "error"]
        address = ["-host", "127.0.0.1", "-port", str(self.port)]
        self._process = Supervised([binary("fake-gcs-server", FAKE_GCS), *flags, *address], log)
        self._process.until(self._answers, "answering")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self._call("POST", "/storage/v1/b", json.dumps({"name": name}).encode())
        return name

    def names(self, bucket: str) -> list[str]:
        """Names of all objects."""
        found = json.loads(self._call("GET", f"/storage/v1/b/{bucket}/o"))
        return sorted(item["name"] for item in found.get("items", ()))

    def generation(self, bucket: str, name: str) -> int | None:
        """Which write of the object is there; None if it is not there."""
        try:
            found = json.loads(
                self._call("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}")
            )
        except urllib.error.HTTPError:
            return None
        return int(found["generation"])

    def read(self, bucket: str, name: str) -> bytes:
        """An object's bytes."""
        return self._call("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media")

    def overwrite(self, bucket: str, name: str, content: bytes) -> None:
        """Put an object there behind everybody's back."""
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        self._call("POST", path, content)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())

    def _answers(self) -> bool:
        try:
            self._call("GET", "/storage/v1/b")
        except OSError:
            return False
        return True
