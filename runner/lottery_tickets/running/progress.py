"""Progress of long work: a line on the terminal, or a call to whoever wants to draw it."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

_T = TypeVar("_T")
_QUIET_SECONDS = 2.0
"""Work that is over sooner says nothing."""
_EVERY_SECONDS = 0.5


class Progress(Protocol):
    """Whoever is told how far long work has come."""

    def __call__(self, doing: str, done: int, total: int | None) -> None:
        """`done` of `total` steps (None: unknown) of what `doing` names."""
        ...


Telling = Progress | bool | None
"""What functions take: True and False for a line on standard error or none; None for a line if it is a terminal."""


def follow(steps: Iterable[_T], doing: str, total: int | None, telling: Telling) -> Iterator[_T]:
    """The same steps, telling after each how many are done. It begins to tell after two seconds."""
    if isinstance(telling, bool) or telling is None:
        shown = sys.stderr.isatty() if telling is None else telling
        if not shown:
            yield from steps
            return
        yield from _on_a_line(steps, doing, total)
        return
    for done, step in enumerate(steps, 1):
        yield step
        telling(doing, done, total)


def _on_a_line(steps: Iterable[_T], doing: str, total: int | None) -> Iterator[_T]:
    begun = told = time.monotonic()
    wrote = False
    try:
        for done, step in enumerate(steps, 1):
            yield step
            now = time.monotonic()
            if now - begun >= _QUIET_SECONDS and now - told >= _EVERY_SECONDS:
                told, wrote = now, True
                sys.stderr.write("\r\x1b[K" + _words(doing, done, total, now - begun))
                sys.stderr.flush()
    finally:
        if wrote:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _words(doing: str, done: int, total: int | None, seconds: float) -> str:
    if not total:
        return f"{doing}: {done}, {seconds:.0f} s"
    left = seconds / done * (total - done)
    return f"{doing}: {done} of {total}, about {left:.0f} s left"
