"""One control plane with one contender in it, the player, and what is measured of them between two readings."""

import asyncio
import contextlib
import math
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from operator_process import OperatorProcess
from pod_api import PodApi
from supervised import Supervised

from operator_scale.cluster import (
    LOOKS,
    Reading,
    Server,
    memory_mb,
    operator_counters,
    start_floor,
    start_operator,
    take_reading,
)
from operator_scale.figures import gaps, grown, quantile, summary, total
from operator_scale.jobs import NAMESPACE, experiment, link
from operator_scale.player import Pace, Player

Contender = Literal["operator", "floor"]
EXPERIMENTS = f"/apis/ticketsmith.dev/v1alpha1/namespaces/{NAMESPACE}/pruningexperiments"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
AT_ONCE = 16
"""Requests in flight while experiments are applied."""
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_OURS = {"jobs", "pruningexperiments", "events", "pods"}


class Stage:
    """Use `open`."""

    def __init__(self, server: Server, api: PodApi, player: Player, rounds: int) -> None:
        self.server = server
        self.api = api
        self.player = player
        self.rounds = rounds
        self.operator: OperatorProcess | None = None
        self.floor: Supervised | None = None
        self._applied = 0

    async def apply(self, count: int) -> None:
        """Start so many more chains, all together."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with places:
                await self.apply_one()

        await asyncio.gather(*(one() for _ in range(count)))

    async def apply_one(self) -> None:
        """Start one more chain."""
        name = f"chain-{self._applied:05d}"
        self._applied += 1
        if self.operator is None:
            await self.api.ask("POST", JOBS, link(name, 0))
        else:
            await self.api.ask("POST", EXPERIMENTS, experiment(name, self.rounds))

    async def read(self) -> Reading:
        """Everything now."""
        contender = self.operator or self.floor
        assert contender is not None
        return await take_reading(self.server, contender, len(self.player.played))

    async def caught_up(self) -> None:
        """Wait until the operator has worked off what it had to do."""
        idle = 0
        while self.operator is not None and idle < 3:
            counters = await operator_counters(self.operator)
            idle = 0 if counters.get(("ticketsmith_workqueue_depth", ()), 0.0) else idle + 1
            await asyncio.sleep(0.5)

    async def settled(self) -> Reading:
        """Everything, once the operator has nothing left to do."""
        looks = math.nan
        while self.operator is not None:
            counters = await operator_counters(self.operator)
            depth = counters.get(("ticketsmith_workqueue_depth", ()), 0.0)
            if not depth and counters[LOOKS] == looks:
                break
            looks = counters[LOOKS]
            await asyncio.sleep(0.5)
        return await self.read()


@contextlib.asynccontextmanager
async def opened(contender: Contender, pace: Pace, rounds: int) -> AsyncIterator[Stage]:
    """A fresh control plane with the contender ready in it."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="operator-scale-")))
        server = Server(folder)
        await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        api = await PodApi.open(server.kubeconfig)
        stack.push_async_callback(api.close)
        player = Player(api, pace, rounds)
        stage = Stage(server, api, player, rounds)
        if contender == "operator":
            stage.operator = start_operator(server)
            stack.callback(lambda: stage.operator and stage.operator.terminate())
            await asyncio.to_thread(stage.operator.wait_ready)
        else:
            stage.floor = floor = start_floor(server, rounds)
            stack.callback(floor.stop)
            await asyncio.to_thread(floor.until, lambda: "following" in floor.tail(), "following")
        playing = asyncio.create_task(player.run())
        stack.callback(playing.cancel)
        yield stage


def measured(
    stage: Stage, before: Reading, after: Reading, seconds: float, since: float
) -> dict[str, Any]:
    """What happened between two readings, per Job made; rate and gaps are those of the `seconds` from `since`."""
    rounds = after.rounds - before.rounds
    played = stage.player.played.values()
    made = sum(since <= one.met < since + seconds for one in played)
    found: dict[str, Any] = {
        "rounds": rounds,
        "seconds": seconds,
        "roundsPerSecond": made / seconds,
        "gapSeconds": asdict(summary(gaps(played, since))),
        "cpuMsPerRound": {
            name: 1000 * (spent - before.cpu_seconds[name]) / rounds
            for name, spent in after.cpu_seconds.items()
            if name in before.cpu_seconds
        },
        "requestsPerRound": _requests(before, after, rounds),
        "loadAverage": os.getloadavg()[0],
    }
    if stage.operator is not None:
        own = grown(before.operator, after.operator)
        writes = total(own, "ticketsmith_api_writes_total", "verb", "resource")
        resident, most = memory_mb(stage.operator.process.pid)
        histogram = "ticketsmith_scheduling_gap_seconds"
        found |= {
            "writesPerRound": sum(writes.values()) / rounds,
            "writesPerRoundByKind": {" ".join(kind): n / rounds for kind, n in writes.items()},
            "writesPerRoundSeenByServer": _written(before, after) / rounds,
            "looksPerRound": own[LOOKS] / rounds,
            "reads": _read(before, after),
            "reconcileErrors": sum(
                total(own, "ticketsmith_reconcile_errors_total", "kind").values()
            ),
            "ownGapSecondsAtMost": {
                "p50": _finite(quantile(own, histogram, 0.5)),
                "p99": _finite(quantile(own, histogram, 0.99)),
            },
            "residentMB": resident,
            "mostResidentMB": most,
        }
    return found


def _requests(before: Reading, after: Reading, rounds: int) -> dict[str, float]:
    """What the API server was asked for by anyone, per round."""
    samples = total(
        grown(before.server, after.server),
        "apiserver_request_total",
        "verb",
        "resource",
        "subresource",
    )
    return {
        " ".join(filter(None, kind)): number / rounds
        for kind, number in samples.items()
        if kind[1] in _OURS and kind[0] != "WATCH"
    }


def _written(before: Reading, after: Reading) -> float:
    """Writes that only the operator makes: all but the applied experiments and the Jobs' status."""
    samples = total(
        grown(before.server, after.server),
        "apiserver_request_total",
        "verb",
        "resource",
        "subresource",
    )
    player = {("POST", "pruningexperiments", ""), ("PUT", "jobs", "status")}
    return sum(
        number
        for kind, number in samples.items()
        if kind[0] in _WRITES and kind[1] in _OURS and kind not in player
    )


def _read(before: Reading, after: Reading) -> int:
    """GETs and LISTs of experiments, Jobs, Pods and Events, by anyone."""
    samples = total(
        grown(before.server, after.server), "apiserver_request_total", "verb", "resource"
    )
    return round(
        sum(
            number
            for kind, number in samples.items()
            if kind[0] in {"GET", "LIST"} and kind[1] in _OURS
        )
    )


def _finite(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if math.isfinite(value) else None
