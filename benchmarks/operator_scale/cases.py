"""The cases that are measured. Each starts from an empty control plane."""

import asyncio
import time
from typing import Any

from operator_scale.cluster import cpu_seconds, memory_mb, start_operator, start_up_seconds
from operator_scale.player import at_once, never, steady, uniform
from operator_scale.stage import Contender, Stage, measured, opened

CHAIN = 5
"""Rounds in a chain: dense, three tickets, report."""
LONG_CHAIN = 12
"""Rounds in a chain where experiments are to stay in flight."""
JOBS_AT_START = 10
"""Jobs of each experiment when the start-up is timed."""
LEAST_SECONDS = 10.0
"""Shortest time over which the rate at saturation is taken."""


async def chains(
    contender: Contender, count: int, step: tuple[float, float], seed: int
) -> dict[str, Any]:
    """Chains of five steps, started together, each step as long as drawn."""
    pace = uniform(*step, seed) if step[1] else at_once
    async with opened(contender, pace, CHAIN) as stage:
        before = await stage.read()
        began = time.perf_counter()
        await stage.apply(count)
        await stage.player.until(lambda: stage.player.completed >= count * CHAIN)
        seconds = time.perf_counter() - began
        return measured(stage, before, await stage.settled(), seconds, began)


async def in_flight(
    count: int, per_second: float, window: float, limit: float, seed: int
) -> dict[str, Any]:
    """So many experiments at any time: all applied at once; then so many rounds that end a second; then steps of no
    length, for at most `limit` seconds; then the operator started anew."""
    mean = count / per_second
    async with opened("operator", steady(mean / 2, mean * 3 / 2, seed), LONG_CHAIN) as stage:
        player = stage.player
        player.when_chain_ends = stage.apply_one
        began = time.perf_counter()
        await stage.apply(count)
        await player.until(lambda: len(player.played) >= count)
        applied = time.perf_counter() - began
        await stage.caught_up()
        found: dict[str, Any] = {
            "experiments": count,
            "secondsToFirstJobOfEach": applied,
            "steady": await _steadily(stage, window),
            "saturated": await _saturated(stage, count, limit),
        }
        player.when_chain_ends = None
        player.change_pace(never)
        await stage.settled()
        found["startUp"] = await _started_anew(stage, count)
        return found


async def _steadily(stage: Stage, window: float) -> dict[str, Any]:
    before = await stage.read()
    began = time.perf_counter()
    await asyncio.sleep(window)
    seconds = time.perf_counter() - began
    # Rounds that end while the readings are taken count in both the rounds and the writes.
    return measured(stage, before, await stage.read(), seconds, began)


async def _saturated(stage: Stage, count: int, limit: float) -> dict[str, Any]:
    player = stage.player
    before = await stage.read()
    began = time.perf_counter()
    player.change_pace(at_once)

    def is_enough() -> bool:
        seconds = time.perf_counter() - began
        return seconds > limit or (
            seconds > LEAST_SECONDS and len(player.played) >= JOBS_AT_START * count
        )

    await player.until(is_enough)
    seconds = time.perf_counter() - began
    return measured(stage, before, await stage.read(), seconds, began)


async def _started_anew(stage: Stage, count: int) -> dict[str, Any]:
    """The operator's start with everything there that has gathered."""
    assert stage.operator is not None
    await asyncio.to_thread(stage.operator.terminate)
    began = time.perf_counter()
    stage.operator = await asyncio.to_thread(start_operator, stage.server)
    seconds = await start_up_seconds(stage.operator, began, count)
    resident, most = memory_mb(stage.operator.process.pid)
    return {
        "jobs": len(stage.player.played),
        "seconds": seconds,
        "cpuSeconds": cpu_seconds(stage.operator.process.pid),
        "residentMB": resident,
        "mostResidentMB": most,
    }
