"""Where prices come from: YAML text, and the file a ConfigMap is mounted as."""

import json
import logging
from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ticketsmith.experiment.problems import BadSpec
from ticketsmith_operator.money.price_list import Capacity, Place, PriceList

__all__ = ["Capacity", "Place", "PriceFile", "PriceList", "read_prices"]

_LOG = logging.getLogger(__name__)
_SHOWN = 60
"""Characters of a wrong value that are repeated to its author."""


class PriceFile:
    """The price list in a file, as it is now. A mounted ConfigMap changes by its link being pointed elsewhere."""

    def __init__(self, path: Path | str | None) -> None:
        self._path = None if path is None else Path(path)
        self._seen: tuple[int, ...] | None = ()  # no file has this stamp, so the first look reads
        self._list = PriceList()

    def current(self) -> PriceList:
        """The list, read again if the file is another one; empty without a file.

        A file that cannot be used leaves the last good list in force, and is logged once.
        """
        if self._path is not None:
            # The stamp is taken first: a change while the file is read is then seen at the next call.
            stamp = _stamp(self._path)
            if stamp != self._seen:
                self._seen = stamp
                self._read(self._path)
        return self._list

    def _read(self, path: Path) -> None:
        try:
            self._list = read_prices(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, BadSpec) as error:
            _LOG.error("prices in %s cannot be used, those read before stay: %s", path, error)
        else:
            _LOG.info("prices in %s: %d entries", path, len(self._list.prices))


def read_prices(text: str) -> PriceList:
    """A price list from YAML; an empty text is an empty list. BadSpec says in one sentence what is wrong with it."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSpec(f"the price list is no YAML: {' '.join(str(error).split())}") from error
    try:
        return PriceList.model_validate_json(
            json.dumps({} if document is None else document, default=str),
            strict=True,
            by_alias=True,
            by_name=False,
        )
    except ValidationError as error:
        raise BadSpec(_sentence(error.errors(include_url=False)[0])) from error


def _sentence(error: ErrorDetails) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    path, value = "".join(parts).removeprefix("."), error["input"]
    if error["type"] == "extra_forbidden":
        return f"{path} of the price list is not a field: correct its name or remove it"
    reason = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if isinstance(value, dict):
        return f"{path or 'the document'} of the price list: {reason}"
    remedy = ": write it in quotes" if error["type"] == "string_type" else ""
    return f"{path or 'the document'} of the price list is {json.dumps(value)[:_SHOWN]}: {reason}{remedy}"


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Changes whenever the file does; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
