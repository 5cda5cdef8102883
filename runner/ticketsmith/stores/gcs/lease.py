"""One holder at a time for a key, across machines: a lease, kept as one small object.

Whoever creates the object holds the lease, and writes it anew every quarter of its length. One who waits may replace it
once it is older than its length. Every write names the generation it replaces, so of several at once one wins. Age is
told by the server's clock alone: the waiter learns it from an object it writes itself, so no machine's clock matters.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from ticketsmith.experiment.problems import Problem, Unavailable
from ticketsmith.stores.gcs.bucket import Bucket, Seen

_POLLS = 10
"""Looks at a lease that another holds, in its length."""
_FAREWELL_SECONDS = 10.0
"""What a renewal under way gets, and then the removal: a process that is told to stop has little time."""
# Boot time also counts while the machine sleeps; where there is none, the guarded writes alone protect.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LostLease(Unavailable):
    """Another process has taken the key over; this one must write nothing more."""


class ServerClock:
    """The server's time, never ahead of it: read once from an object written for that, then counted here."""

    def __init__(self, bucket: Bucket, probe: str) -> None:
        written = _surely(bucket.replace(probe, "", 0), probe)
        self._read_at = _now()
        self._time = written.written_at
        bucket.delete(probe, written.generation)

    def now(self) -> datetime:
        """At least this late it is."""
        return self._time + timedelta(seconds=_now() - self._read_at)


class Lease:
    """A lease on the object `name`. `seconds` is its length; all who share a store use the same."""

    def __init__(self, bucket: Bucket, name: str, seconds: float) -> None:
        self._bucket = bucket
        self._name = name
        self._seconds = seconds
        self._generation = 0
        self._renewed_at = 0.0
        self._lost = False
        self._clock: ServerClock | None = None
        self._renewing = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def acquire(self, *, wait: bool = True) -> bool:
        """Wait until it is held, or only look whether it is free; keep it from then on. Whether it is held."""
        while not self._taken():
            if not wait:
                return False
            time.sleep(self._seconds / _POLLS)
        self._thread.start()
        return True

    def prove(self) -> None:
        """Return while the lease is surely held for half its length more; LostLease if it is not any more."""
        if self._lost or _now() - self._renewed_at > self._seconds / 2:
            self.renew()

    def renew(self) -> None:
        """Begin the lease's length anew; LostLease if another holds it, Unavailable if that stays unknown."""
        with self._renewing:
            if self._lost or not self._write(self._generation):
                self._lost = True
                raise LostLease(
                    f"another process has taken {self._bucket.address(self._name)} over, since this one was not heard "
                    f"of for {self._seconds:g} seconds: nothing more is written, and the round may be tried again"
                )

    def release(self) -> None:
        """Let it go at once. Where that fails it ends by its age."""
        self._end.set()
        self._thread.join(_FAREWELL_SECONDS)
        if not self._lost:
            with suppress(Problem):
                self._bucket.delete(self._name, self._generation, _FAREWELL_SECONDS)

    def _keep(self) -> None:
        while not self._end.wait(self._seconds / 4):
            # An outage may pass before anyone takes over; whether one did, the next renewal tells.
            with suppress(Unavailable):
                self.renew()
            if self._lost:
                return

    def _taken(self) -> bool:
        seen = self._bucket.look(self._name)
        if seen is None:
            return self._write(0)
        return self._is_over(seen) and self._write(seen.generation)

    def _is_over(self, seen: Seen) -> bool:
        if self._clock is None:
            self._clock = ServerClock(self._bucket, f"{self._name}.{os.urandom(8).hex()}")
        return self._clock.now() - seen.written_at > timedelta(seconds=self._seconds)

    def _write(self, generation: int) -> bool:
        # Counted from before the request: the server's count begins later, so nobody takes over while this holds.
        begun = _now()
        holder = f"{socket.gethostname()} {os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n"
        written = self._bucket.replace(self._name, holder, generation)
        if written is None:
            return False
        self._generation, self._renewed_at = written.generation, begun
        return True


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _surely(written: Seen | None, name: str) -> Seen:
    if written is None:
        raise Unavailable(f"another process writes {name}, which is random: try again")
    return written
