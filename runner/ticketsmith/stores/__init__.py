"""Where artifacts lie. `open_store` turns an address into a store; all others know only the Protocol."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores.base import Store
from ticketsmith.stores.directory import DirectoryStore

SUPPORTED = "a folder (runs/store) or file:///path"


def open_store(uri: str, *, writable: bool = False) -> Store:
    """The store at `uri`: a plain path or file:///path, where a relative path starts at the working directory.

    Nothing is created unless `writable` asks for proof that it can be written to. BadSpec if the address is
    of a kind that is not supported, or if the proof fails.
    """
    store = DirectoryStore(_folder(uri))
    if writable:
        store.prove_writable()
    return store


def _folder(uri: str) -> Path:
    if not uri.strip():
        raise BadSpec(f"the artifact store has an empty address: name {SUPPORTED}")
    if "://" not in uri:
        return Path(uri).expanduser().absolute()
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise BadSpec(
            f"artifact store {uri!r}: stores of the kind {parts.scheme}:// are not supported here; "
            f"name {SUPPORTED}"
        )
    # file://runs/store is a common slip: "runs" would be a host name, so it is read as a relative path.
    path = (
        unquote(parts.path) if parts.netloc in ("", "localhost") else unquote(uri[len("file://") :])
    )
    if not path:
        raise BadSpec(f"artifact store {uri!r} names no folder: write file:///path")
    return Path(path).absolute()
