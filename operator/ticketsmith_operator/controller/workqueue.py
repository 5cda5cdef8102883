"""One deduplicating queue: a key waits in it at most once, and is never handed to two workers at the same time."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 60.0


class WorkQueue(Generic[Key]):
    """Keys to look at, now or later. Used from one event loop."""

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        """Keys in _ready, and those that were added while a worker had them."""
        self._worked_on: set[Key] = set()
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._wakers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Have the key looked at as soon as a worker is free."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._worked_on:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have the key looked at after so many seconds, unless it is due sooner already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, seconds)
        timer = self._later.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._later[key] = loop.call_at(due, self._is_due, key)

    def add_failed(self, key: Key, at_least: float | None = None) -> None:
        """Have the key looked at again, each time after twice the time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** min(failures, 20), LONGEST_WAIT_SECONDS)
        self.add_after(key, max(wait, at_least or 0.0))

    def forget_failures(self, key: Key) -> None:
        """The key was looked at without a failure."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key; the caller must hand it back with `done`."""
        while not self._ready:
            waker = asyncio.get_running_loop().create_future()
            self._wakers.append(waker)
            await waker
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._worked_on.add(key)
        return key

    def done(self, key: Key) -> None:
        """Hand a key back; it is ready again at once if it was added meanwhile."""
        self._worked_on.discard(key)
        if key in self._waiting:
            self._ready.append(key)
            self._wake()

    def _is_due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _wake(self) -> None:
        while self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                return
