"""Where a data set's files are: `dataset.uri`, else $TICKETSMITH_DATA, else what torchvision downloads."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from ticketsmith.engine.data import cache
from ticketsmith.engine.data.base import Raw, Tell
from ticketsmith.engine.data.options import Options
from ticketsmith.experiment.problems import BadSpec

DATA_VARIABLE = "TICKETSMITH_DATA"
PROBE_SECONDS = 5.0

Found = TypeVar("Found")


Reader = Callable[[Options, Tell], Raw]
"""Reads a whole data set, onto the CPU, from the place that was found for it."""


def local(uri: str) -> Path:
    """The path that `dataset.uri` names; BadSpec if it is not one of this machine, or nothing is there."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise BadSpec(f"dataset.uri {uri!r} is not a local path: give a folder or file:///folder")
    path = Path(unquote(parts.path)) if parts.scheme else Path(uri).expanduser()
    if not path.exists():
        raise BadSpec(f"dataset.uri {uri!r} does not exist: name the folder that holds the data")
    return path


def locate(
    name: str, uri: str | None, pick: Callable[[Path], Found | None], expected: str
) -> Found | None:
    """What `pick` finds below the first place that has it; None if only a download is left.

    A `uri` that lacks the data is a BadSpec: nothing else is then looked at. `expected` says what files
    would have been taken.
    """
    if uri is not None:
        found = pick(local(uri))
        if found is None:
            raise BadSpec(f"dataset.uri {uri!r} does not hold {name}: it needs {expected}")
        return found
    named = os.environ.get(DATA_VARIABLE)
    found = pick(Path(named)) if named else None
    return found if found is not None else pick(downloads())


def downloads() -> Path:
    """Where torchvision's downloads are kept."""
    return cache.folder() / "torchvision"


def download(
    name: str, addresses: Sequence[str], expected: str, fetch: Callable[[Path], object]
) -> None:
    """Let `fetch` download into `downloads()`, one process at a time; BadSpec if it cannot."""
    reachable(name, addresses, expected)
    try:
        with cache.locked(f"torchvision-{name}"):
            downloads().mkdir(parents=True, exist_ok=True)
            fetch(downloads())
    except (OSError, RuntimeError) as error:
        raise _missing(
            name, expected, f"its download failed ({' '.join(str(error).split())})"
        ) from error


def reachable(name: str, addresses: Sequence[str], expected: str) -> None:
    """BadSpec that says how to get the data, if none of `addresses` answers within seconds."""
    for address in addresses:
        request = urllib.request.Request(  # noqa: S310 - torchvision's own https addresses
            address, method="HEAD", headers={"User-Agent": "ticketsmith"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):  # noqa: S310
                return
        except urllib.error.HTTPError:
            return  # it answers; some mirrors refuse HEAD, or the folder's own listing
        except OSError:
            continue
    raise _missing(name, expected, "the network cannot be reached to download it")


def _missing(name: str, expected: str, why: str) -> BadSpec:
    return BadSpec(
        f"dataset.name {name!r} is not on this machine and {why}: set dataset.uri or the environment "
        f"variable {DATA_VARIABLE} (now {os.environ.get(DATA_VARIABLE)!r}) to a folder with {expected}"
    )
