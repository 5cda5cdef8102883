"""The queue: once each, never twice at the same time, later when asked, ever later when it fails."""

import asyncio
from collections.abc import Awaitable, Callable

from ticketsmith_operator.controller.workqueue import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    WorkQueue,
)

Scene = Callable[[WorkQueue[str]], Awaitable[None]]


def play(scene: Scene) -> None:
    async def run() -> None:
        await scene(WorkQueue())

    asyncio.run(run())


def test_a_key_waits_at_most_once() -> None:
    async def scene(queue: WorkQueue[str]) -> None:
        for key in "abaab":
            queue.add(key)
        assert len(queue) == 2
        assert [await queue.get(), await queue.get()] == ["a", "b"]

    play(scene)


def test_a_key_that_is_worked_on_is_handed_out_again_only_when_it_is_done() -> None:
    async def scene(queue: WorkQueue[str]) -> None:
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "b"
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    play(scene)


def test_a_worker_that_waits_is_woken() -> None:
    async def scene(queue: WorkQueue[str]) -> None:
        workers = [asyncio.create_task(queue.get()) for _ in range(2)]
        await asyncio.sleep(0)
        queue.add("a")
        queue.add("b")
        assert sorted(await asyncio.gather(*workers)) == ["a", "b"]

    play(scene)


def test_a_worker_that_was_cancelled_takes_no_key_with_it() -> None:
    async def scene(queue: WorkQueue[str]) -> None:
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        first.cancel()
        queue.add("a")
        assert await second == "a"

    play(scene)


def test_later_is_later_and_sooner_wins() -> None:
    async def scene(queue: WorkQueue[str]) -> None:
        queue.add_after("a", 1000)
        queue.add_after("a", 0.001)
        queue.add_after("a", 2000)
        assert len(queue) == 0
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    play(scene)


def test_failures_wait_twice_as_long_each_time_and_no_longer_than_the_longest() -> None:
    waits: list[float] = []

    class Watched(WorkQueue[str]):
        def add_after(self, key: str, seconds: float) -> None:
            waits.append(seconds)

    queue = Watched()
    for _ in range(14):
        queue.add_failed("a")
    assert waits[:3] == [FIRST_WAIT_SECONDS, 2 * FIRST_WAIT_SECONDS, 4 * FIRST_WAIT_SECONDS]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    queue.forget_failures("a")
    queue.add_failed("a")
    queue.add_failed("b", at_least=7)
    assert waits[-2:] == [FIRST_WAIT_SECONDS, 7]
