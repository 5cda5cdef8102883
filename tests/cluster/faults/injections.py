"""The faults that tests put on a namespace, each a few lines over `Fault`."""

import asyncio
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from fault_proxy import Answer, Call, Fault, FaultProxy, failure

_REASONS = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}


@dataclass
class Freeze(Fault):
    """From one write on the operator gets no answer in this namespace: `before` it was done, or `after`.

    Killed while it waits, the operator dies exactly there. Once thawed, what is asked then passes again; what waited
    goes on only if it `wakes`.
    """

    write: int
    when: Literal["before", "after"]
    wakes: bool = False
    reached: bool = False
    thawed: bool = False

    async def before(self, proxy: FaultProxy, call: Call) -> Answer | None:
        if self.thawed or call.sort == "watch":
            return None
        if call.sort == "write" and call.number == self.write and self.when == "before":
            self.reached = True
        if self.reached:
            await self._hold()
        return None

    async def after(self, proxy: FaultProxy, call: Call, answer: Answer) -> Answer:
        if self.when == "after" and call.sort == "write" and call.number == self.write:
            self.reached = True
            await self._hold()
        return answer

    async def _hold(self) -> None:
        while not (self.thawed and self.wakes):
            await asyncio.sleep(0.05)


@dataclass
class StaleReads(Fault):
    """Some reads are answered from the state of `back` resourceVersions of this namespace ago."""

    back: int
    applies: Callable[[Call], bool]
    answered: int = 0
    """Reads that were answered so."""

    async def before(self, proxy: FaultProxy, call: Call) -> Answer | None:
        told = proxy.versions[call.namespace]
        if call.sort != "read" or not told or not self.applies(call):
            return None
        self.answered += 1
        return await proxy.as_of(call, told[max(0, len(told) - 1 - self.back)])


@dataclass
class Refusals(Fault):
    """Writes with these numbers are answered with an error; `done` says whether they are carried out all the same."""

    code: int
    numbers: Collection[int]
    retry_after: int | None = None
    done: bool = False
    answered: int = 0

    async def before(self, proxy: FaultProxy, call: Call) -> Answer | None:
        if self.done or not self._is_meant(call):
            return None
        return self._refusal()

    async def after(self, proxy: FaultProxy, call: Call, answer: Answer) -> Answer:
        return self._refusal() if self.done and self._is_meant(call) else answer

    def _is_meant(self, call: Call) -> bool:
        return call.sort == "write" and call.number in self.numbers

    def _refusal(self) -> Answer:
        self.answered += 1
        reason = _REASONS.get(self.code, "ServiceUnavailable")
        return failure(self.code, reason, self.retry_after)


@dataclass
class Flaky(Fault):
    """Any call but a watch may be answered with one of these codes instead, by the dice."""

    chance: float
    """From 0 to 1."""
    codes: tuple[int, ...]
    dice: Random

    async def before(self, proxy: FaultProxy, call: Call) -> Answer | None:
        if call.sort == "watch" or self.dice.random() >= self.chance:
            return None
        code = self.dice.choice(self.codes)
        return failure(code, "InternalError", 1 if code == 429 else None)


@dataclass
class MissedEvents(Fault):
    """Watch events for which `missed` is true, given their number and themselves, never arrive."""

    missed: Callable[[int, Any], bool]
    dropped: list[str] = field(default_factory=list)

    async def passes(self, proxy: FaultProxy, call: Call, event: Any, number: int) -> bool:
        if not self.missed(number, event):
            return True
        self.dropped.append(
            f"{event['type']} {call.resource} {event['object']['metadata']['name']}"
        )
        return False


@dataclass
class Slow(Fault):
    """Every call takes this much longer."""

    seconds: float

    async def before(self, proxy: FaultProxy, call: Call) -> Answer | None:
        await asyncio.sleep(self.seconds)
        return None


@dataclass
class WatchRefusals(Fault):
    """The next watches are answered with an error; 410 says that their resourceVersion is too old."""

    times: int
    code: int = 410
    in_stream: bool = True
    """Within the stream, as from the watch cache, or as the HTTP status."""

    async def before(self, proxy: FaultProxy, call: Call) -> Answer | None:
        if call.sort != "watch" or self.times == 0:
            return None
        self.times -= 1
        refusal = failure(self.code, _REASONS.get(self.code, "InternalError"))
        if not self.in_stream:
            return refusal
        event = {"type": "ERROR", "object": json.loads(refusal.body)}
        return Answer(200, json.dumps(event).encode() + b"\n", refusal.headers)
