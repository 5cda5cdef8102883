"""Where artifacts lie. `open_store` turns an address into a store; all others know only the Protocol."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores.base import Store
from ticketsmith.stores.directory import DirectoryStore
from ticketsmith.stores.gcs.store import GcsStore

SUPPORTED = "a folder (runs/store), file:///path or gs://bucket/prefix"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PREFIX_BYTES = 900
"""Cloud Storage takes object names of 1,024 bytes: a key and a file's name must still fit."""


def open_store(uri: str, *, writable: bool = False) -> Store:
    """The store at `uri`: a folder (a relative one starts at the working directory), file:///path, or
    gs://bucket/prefix.

    Nothing is created or asked of a network unless `writable` wants proof that it can be written to. BadSpec if the
    address is of a kind that is not supported, or if the proof fails; Unavailable if the store cannot be reached.
    """
    store: DirectoryStore | GcsStore
    if uri.startswith("gs://"):
        store = GcsStore(*_bucket(uri))
    else:
        store = DirectoryStore(_folder(uri))
    if writable:
        store.prove_writable()
    return store


def _bucket(uri: str) -> tuple[str, str]:
    """Bucket and prefix. Both are taken literally: object names know no escapes."""
    name, _, rest = uri.removeprefix("gs://").partition("/")
    prefix = rest.strip("/")
    if not _BUCKET.fullmatch(name):
        raise BadSpec(
            f"artifact store {_shown(uri)!r} names no bucket: write gs://bucket or gs://bucket/prefix"
        )
    parts = prefix.split("/") if prefix else []
    if (
        any(part in ("", ".", "..") or not part.isprintable() for part in parts)
        or len(prefix.encode()) > _PREFIX_BYTES
    ):
        raise BadSpec(
            f"artifact store {_shown(uri)!r} has a prefix that no folder could have: write gs://bucket/prefix"
        )
    return name, prefix


def _folder(uri: str) -> Path:
    if not uri.strip():
        raise BadSpec(f"the artifact store has an empty address: name {SUPPORTED}")
    if "://" not in uri:
        return Path(uri).expanduser().absolute()
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise BadSpec(
            f"artifact store {_shown(uri)!r}: stores of the kind {parts.scheme}:// are not supported here; "
            f"name {SUPPORTED}"
        )
    # file://runs/store is a common slip: "runs" would be a host name, so it is read as a relative path.
    path = (
        unquote(parts.path) if parts.netloc in ("", "localhost") else unquote(uri[len("file://") :])
    )
    if not path:
        raise BadSpec(f"artifact store {uri!r} names no folder: write file:///path")
    return Path(path).absolute()


def _shown(uri: str) -> str:
    """The address without what stands before an @: that may be a key."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
