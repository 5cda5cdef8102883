"""What lies in memory at each moment of a method, and the most there ever was."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Part = Literal["weights", "gradients", "scores", "masks", "activations", "buffers", "optimizer"]
"""What bytes are for. "weights": those of the network, its buffers, and whole copies of them (also of another dtype);
"activations": what a pass through the network allocates beside gradients, and the batch where it is brought to the
device; "buffers": everything else, such as pieces in conversion, Hessians, sort orders."""

Where = Literal["device", "host"]

PARTS: tuple[Part, ...] = get_args(Part)

Event = tuple[Part, int]
"""Bytes taken (above 0) or given back (below 0), for what."""


class Ledger:
    """Bytes by part on the network's device and on the host; on a CPU the two are one memory, the device's."""

    def __init__(self, *, one_memory: bool) -> None:
        self.one_memory = one_memory
        self.now: dict[Where, dict[Part, int]] = {
            "device": dict.fromkeys(PARTS, 0),
            "host": dict.fromkeys(PARTS, 0),
        }
        self.peak: dict[Where, dict[Part, int]] = {
            where: dict(parts) for where, parts in self.now.items()
        }
        self._highest: dict[Where, int] = {"device": 0, "host": 0}

    def take(self, part: Part, size: int, where: Where = "device") -> None:
        """`size` bytes more, or fewer if it is below 0."""
        if self.one_memory:
            where = "device"
        self.now[where][part] += size
        total = sum(self.now[where].values())
        if total > self._highest[where]:
            self._highest[where] = total
            self.peak[where] = dict(self.now[where])

    def drop(self, part: Part, size: int, where: Where = "device") -> None:
        self.take(part, -size, where)

    @contextmanager
    def held(self, part: Part, size: int, where: Where = "device") -> Iterator[None]:
        """Inside, these bytes are there."""
        self.take(part, size, where)
        yield
        self.drop(part, size, where)

    def touch(self, part: Part, size: int, where: Where = "device") -> None:
        """These bytes are there for a moment."""
        with self.held(part, size, where):
            pass

    def replay(self, events: Iterable[Event], *, keep: Iterable[Part] = ()) -> int:
        """What a pass took and gave back, on the device; what it left is dropped, but for the parts in `keep`.

        Returns:
            The bytes that were kept.
        """
        left = dict.fromkeys(PARTS, 0)
        for part, size in events:
            self.take(part, size)
            left[part] += size
        kept = set(keep)
        for part, size in left.items():
            if part not in kept:
                self.drop(part, size)
        return sum(left[part] for part in kept)
