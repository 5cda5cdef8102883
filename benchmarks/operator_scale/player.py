"""Plays the cluster's part: completes each Job after its time, and notes when it met it and when it was answered."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from pod_api import Gone, PodApi

from operator_scale.figures import Played
from operator_scale.jobs import MANAGER, Body, chain_of, completed, is_over
from ticketsmith_operator.names import EXPERIMENT_LABEL

JOBS = "/apis/batch/v1/jobs"
Pace = Callable[[str, int], float]
"""Seconds that a chain's Job takes, by the chain and the Job's number in it."""


def uniform(low: float, high: float, seed: int) -> Pace:
    """Evenly drawn, the same for the same seed, whatever the order of events."""
    return lambda chain, number: random.Random(f"{seed}/{chain}/{number}").uniform(low, high)


def at_once(_chain: str, _number: int) -> float:
    """No time at all."""
    return 0.0


def never(_chain: str, _number: int) -> float:
    """Longer than any benchmark."""
    return 1e6


def steady(low: float, high: float, seed: int) -> Pace:
    """As `uniform`, but each chain's first Job ends as if the chain had been going on for long: evenly from the
    start."""
    later = uniform(low, high, seed)

    def pace(chain: str, number: int) -> float:
        if number > 0:
            return later(chain, number)
        draw = random.Random(f"{seed}/{chain}")
        # The Job that is found at any moment is a long one more often, and somewhere in its middle.
        whole = (low**2 + draw.random() * (high**2 - low**2)) ** 0.5
        return draw.random() * whole

    return pace


class Player:
    """Runs while its task runs. `played` holds every Job met so far, by its uid."""

    def __init__(self, api: PodApi, pace: Pace, length: int) -> None:
        self._api = api
        self._pace = pace
        self._length = length
        """Jobs in a chain."""
        self._numbers: dict[str, int] = {}
        self._due: dict[str, tuple[asyncio.TimerHandle, Body, int]] = {}
        self._puts: set[asyncio.Task[None]] = set()
        self.played: dict[str, Played] = {}
        self.completed = 0
        """Jobs whose PUT was answered."""
        self.when_chain_ends: Callable[[], Awaitable[None]] | None = None
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async for event, found in self._api.follow(JOBS, labelSelector=EXPERIMENT_LABEL):
            now = time.perf_counter()
            for job in found if event == "LIST" else [found] if event == "ADDED" else []:
                self._meet(job, now)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, which is looked at after every change; what went wrong meanwhile is raised."""
        while not condition():
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            await self._changed.wait()

    def change_pace(self, pace: Pace) -> None:
        """Jobs met from now on take so long; those that wait are completed now."""
        self._pace = pace
        waiting, self._due = self._due, {}
        for uid, (timer, job, number) in waiting.items():
            timer.cancel()
            self._begin_put(uid, job, number)

    def _meet(self, job: Body, now: float) -> None:
        uid, chain = job["metadata"]["uid"], chain_of(job)
        if uid in self.played or job["spec"].get("managedBy") != MANAGER or is_over(job):
            return
        self.played[uid] = Played(chain, now)
        number = self._numbers.get(chain, 0)
        self._numbers[chain] = number + 1
        loop = asyncio.get_running_loop()
        wait = self._pace(chain, number)
        self._due[uid] = (loop.call_later(wait, self._is_due, uid), job, number)
        self._changed.set()

    def _is_due(self, uid: str) -> None:
        _, job, number = self._due.pop(uid)
        self._begin_put(uid, job, number)

    def _begin_put(self, uid: str, job: Body, number: int) -> None:
        put = asyncio.create_task(self._put(uid, job, number))
        self._puts.add(put)
        put.add_done_callback(self._is_put)

    def _is_put(self, put: asyncio.Task[None]) -> None:
        self._puts.discard(put)
        if not put.cancelled() and put.exception() is not None:
            self._failure = put.exception()
        self._changed.set()

    async def _put(self, uid: str, job: Body, number: int) -> None:
        metadata = job["metadata"]
        path = f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}"
        while True:
            try:
                await self._api.ask("PUT", f"{path}/status", completed(job, time.time()))
            except Gone:  # somebody changed it meanwhile
                job = await self._api.ask("GET", path)
            else:
                break
        self.played[uid].answered = time.perf_counter()
        self.completed += 1
        if self.when_chain_ends is not None and number == self._length - 1:
            await self.when_chain_ends()
