"""Counts the bytes of tensors as they come and go, each storage once, on real and on fake tensors alike."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lottery_tickets.sizing.ledger import Event, Part


class Counting(TorchDispatchMode):
    """Inside of `with`, notes every storage that an operation makes, and when it is freed.

    What an operation allocates for itself alone, below the dispatcher, is not seen; nor is what other threads do.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._log: list[tuple[int, int]] = []
        self._parts: dict[int, Part] = {}
        self._live: dict[int, tuple[int, object]] = {}
        self._next = 0
        self._hidden: set[int] = set()
        self._stopped = False

    def know(self, tensors: Iterable[Tensor]) -> None:
        """These are there already: they do not count."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            # The storage itself is held, so that its address stays its own.
            self._live.setdefault(id(storage), (-1, storage))

    def mark(self, tensor: Tensor, part: Part) -> None:
        """What its storage counts as, from its beginning; "activations" if nobody says."""
        found = self._live.get(id(tensor.untyped_storage()))
        if found is not None and found[0] >= 0:
            self._parts[found[0]] = part

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is made inside counts no more than what was there before."""
        begun = len(self._log)
        yield
        made = {number for number, size in self._log[begun:] if size > 0}
        self._log = [event for event in self._log if event[0] not in made]
        self._hidden |= made

    def stop(self) -> None:
        """What is there now stays, as far as the count goes."""
        self._stopped = True

    def events(self) -> list[Event]:
        """What was noted, in order."""
        return [(self._parts.get(number, "activations"), size) for number, size in self._log]

    def peak(self) -> int:
        """The most bytes that were there at once, beyond what was there before."""
        now = most = 0
        for _, size in self._log:
            now += size
            most = max(most, now)
        return most

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.know(_stored((args, kwargs)))
        out = func(*args, **(kwargs or {}))
        for one in _stored(out):
            self._see(one)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._live:
            return
        number, size = self._next, storage.nbytes()
        self._next += 1
        self._note(number, size)

        def freed(_: object) -> None:
            self._live.pop(key, None)
            self._note(number, -size)

        self._live[key] = (number, weakref.ref(storage, freed))

    def _note(self, number: int, size: int) -> None:
        if not self._stopped and number not in self._hidden:
            self._log.append((number, size))


def _stored(nested: Any) -> Iterator[Tensor]:
    """The tensors in it that have one storage: not the sparse ones."""
    for one in tree_leaves(nested):
        if isinstance(one, Tensor) and one.layout is torch.strided:
            yield one
