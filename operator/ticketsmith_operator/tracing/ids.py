"""Ids that follow from the experiment alone, so that whoever tells a part of its story tells the same story. Pure."""

import hashlib
import uuid


def trace_id(uid: str) -> int:
    """128 bits: the experiment's uid itself, as Kubernetes gives it."""
    try:
        return uuid.UUID(uid).int or 1
    except ValueError:
        return _digest(16, uid)


def span_id(uid: str, *parts: str) -> int:
    """64 bits for the experiment, or for a part of it: a round, or a round's attempt."""
    return _digest(8, uid, *parts)


def _digest(size: int, *parts: str) -> int:
    """Never 0, which means no id at all."""
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:size]) or 1
