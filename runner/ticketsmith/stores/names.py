"""What may be a key, and what may be a file's name: the same in every store."""

import re

from ticketsmith.experiment.problems import BadSpec

_KEY = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def is_key(text: str) -> bool:
    """Whether it is the 16 hex digits of a round."""
    return _KEY.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a file may be called so. Names that begin with a dot are the store's own."""
    return _NAME.fullmatch(text) is not None


def checked_key(key: str) -> str:
    """`key` itself; BadSpec if it is none."""
    if not is_key(key):
        raise BadSpec(f"{key!r} is not a key of an artifact: write its 16 hex digits")
    return key


def checked_name(name: str) -> str:
    """`name` itself; BadSpec if no file may be called so."""
    if not is_name(name):
        raise BadSpec(
            f"{name!r} is not a name for an artifact's file: use letters, digits, dots and dashes"
        )
    return name
