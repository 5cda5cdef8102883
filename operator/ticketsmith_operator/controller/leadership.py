"""Which of several operators acts: the holder of a Lease, as Kubernetes' own controllers agree on it.

A lease counts as expired by *this* machine's clock alone, by how long ago its record was last seen to change: what the
holder's clock says, and how far it is off, does not matter. The lease's resourceVersion is the fence: of two that try
for it, one is refused.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ticketsmith_operator.kube.base import LEASES, Body, Kube, KubeError, NotThere

_LOG = logging.getLogger(__name__)
_API_VERSION = f"{LEASES.group}/{LEASES.version}"
_SILENCE = "the API server did not answer in time"


@dataclass(frozen=True, slots=True)
class Record:
    """What a lease said, and since when it has said so."""

    spec: Mapping[str, Any]
    since: float
    """This machine's time, in seconds, when it was first seen to say this."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """Nobody leads: try for it."""


@dataclass(frozen=True, slots=True)
class Renew:
    """The lease is ours: say so again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else leads."""

    seconds: float
    """Until the lease expires, unless it is renewed."""


def look(lease: Body, before: Record | None, now: float) -> Record:
    """What the lease says now; the time stays if it says what it said before."""
    spec = lease.get("spec") or {}
    return before if before is not None and before.spec == spec else Record(spec, now)


def decide(
    lease: Record | None, me: str, now: float, lease_seconds: float
) -> Acquire | Renew | Wait:
    """What to do about a lease; None is one that does not exist. `lease_seconds` holds where it names no duration."""
    holder = lease.spec.get("holderIdentity") if lease is not None else None
    if lease is None or not holder:
        return Acquire()
    if holder == me:
        return Renew()
    left = lease.since + float(lease.spec.get("leaseDurationSeconds") or lease_seconds) - now
    return Wait(left) if left > 0 else Acquire()


def claim(before: Mapping[str, Any], me: str, lease_seconds: float, now: float) -> dict[str, Any]:
    """The lease's spec once it is ours; `now` is Unix time, written for people to read."""
    stamp = _stamp(now)
    ours = {
        "holderIdentity": me,
        "leaseDurationSeconds": math.ceil(lease_seconds),
        "renewTime": stamp,
    }
    if before.get("holderIdentity") == me:
        return {**before, **ours}
    changes = int(before.get("leaseTransitions") or 0) + (1 if before else 0)
    return {**before, **ours, "acquireTime": stamp, "leaseTransitions": changes}


class Always:
    """Leadership where there is only one operator."""

    leads = True

    async def run(self) -> None:
        """Nothing needs doing."""
        await asyncio.Event().wait()

    async def wait_to_lead(self) -> None:
        """Return at once."""


class Leadership:
    """Tries for the lease as long as `run` runs.

    `monotonic` never goes back; `wall` is Unix time. Both in seconds.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        me: str,
        lease_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._me = me
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._wall = wall
        self._record: Record | None = None
        self._until = -math.inf
        self._won = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this operator may act. False again two thirds of the lease after the last renewal was *sent*, be the
        event loop stalled or not: nobody else starts before the whole lease has passed since it was received."""
        return self._monotonic() < self._until

    async def wait_to_lead(self) -> None:
        """Return once `leads` is true."""
        while not self.leads:
            self._won.clear()
            await self._won.wait()

    async def run(self) -> None:
        """Win the lease and keep it, until cancelled; then give it up, so that nobody has to wait for its end."""
        try:
            while True:
                await asyncio.sleep(await self.turn())
        finally:
            await self._release()

    async def turn(self) -> float:
        """Look at the lease once and do what is to be done; the seconds after which to look again."""
        led = self.leads
        retry = self._lease_seconds / 8
        try:
            async with asyncio.timeout(self._lease_seconds / 3):
                wait = await self._look_and_act(retry)
        except (KubeError, TimeoutError) as error:
            _LOG.warning("the lease %s was not had: %s", self._name, str(error) or _SILENCE)
            wait = retry
        if self.leads != led:
            _LOG.info("leading" if self.leads else "no longer leading: standing by")
        return wait

    async def _look_and_act(self, retry: float) -> float:
        sent = self._monotonic()
        lease = await self._get()
        if lease is None:
            self._record = None
        else:
            self._record = look(lease, self._record, self._monotonic())
        step = decide(self._record, self._me, self._monotonic(), self._lease_seconds)
        if isinstance(step, Wait):
            self._until = -math.inf
            return min(step.seconds, retry)
        await self._put(lease, self._wall())
        self._until = sent + self._lease_seconds * 2 / 3
        self._won.set()
        return max(0.0, sent + self._lease_seconds / 3 - self._monotonic())

    async def _get(self) -> Body | None:
        try:
            return await self._kube.get(LEASES, self._namespace, self._name)
        except NotThere:
            return None

    async def _put(self, lease: Body | None, now: float) -> None:
        """Write the lease as ours; Conflict or AlreadyThere if somebody was quicker."""
        before = {} if lease is None else lease.get("spec") or {}
        spec = claim(before, self._me, self._lease_seconds, now)
        if lease is None:
            metadata = {"name": self._name, "namespace": self._namespace}
            body = {"apiVersion": _API_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}
            await self._kube.create(LEASES, self._namespace, body)
        else:
            await self._kube.replace(LEASES, self._namespace, {**lease, "spec": spec})

    async def _release(self) -> None:
        """Give the lease up, if it is ours. A failure is no harm: the lease expires."""
        if not self.leads:
            return
        self._until = -math.inf
        try:
            async with asyncio.timeout(self._lease_seconds / 3):
                lease = await self._get()
                if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self._me:
                    return
                spec = {**lease["spec"], "holderIdentity": "", "renewTime": _stamp(self._wall())}
                await self._kube.replace(LEASES, self._namespace, {**lease, "spec": spec})
        except (KubeError, TimeoutError) as error:
            _LOG.warning("the lease %s was not given up: %s", self._name, str(error) or _SILENCE)


def _stamp(now: float) -> str:
    """Unix time as Kubernetes' MicroTime, which asks for all six digits."""
    moment = datetime.fromtimestamp(now, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
