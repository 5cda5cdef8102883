"""Finished Jobs are given a time to go, once the status holds their answer; none is ever missed or made again."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ticketsmith_operator.controller.reconcile import RETIRED_AT_ONCE
from ticketsmith_operator.controller.retire import to_retire
from ticketsmith_operator.kube.base import EXPERIMENTS, JOBS, KubeError

MakeDesk = Callable[..., Any]
DENSE = "dense-s0"


def played(scene: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(scene)
    def play(**fixtures: Any) -> None:
        asyncio.run(scene(**fixtures))

    return play


def patches(desk: Any) -> list[str]:
    return [write for write in desk.server.writes if write.startswith("patch jobs")]


def ttl(desk: Any, round_name: str = DENSE, attempt: int = 1) -> int | None:
    found: int | None = desk.job(round_name, attempt)["spec"].get("ttlSecondsAfterFinished")
    return found


async def started(desk: Any, **spec: Any) -> None:
    desk.apply(**spec)
    await desk.look_and_turn()


@played
async def test_no_job_is_born_with_a_time_to_go(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 0})
    assert ttl(desk) is None


@played
async def test_a_finished_job_gets_its_time_with_one_write(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 60})
    desk.finish(DENSE)
    await desk.look_and_turn()
    assert desk.round(DENSE)["state"] == "Done"
    assert ttl(desk) == 60
    for _ in range(3):
        await desk.look_and_turn(after=10)
    assert len(patches(desk)) == 1


@played
async def test_the_status_is_written_first(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 0})
    desk.finish(DENSE)
    await desk.look_and_turn()
    writes = desk.server.writes
    answered = len(writes) - 1 - writes[::-1].index("update pruningexperiments trial")
    assert answered < writes.index(patches(desk)[0])


@played
async def test_a_status_that_cannot_be_written_leaves_the_job_alone(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 0})
    desk.finish(DENSE)
    desk.server.fail = lambda write: KubeError("away") if write.startswith("update") else None
    with pytest.raises(KubeError):
        await desk.look_and_turn()
    assert ttl(desk) is None
    desk.server.fail = lambda write: None
    await desk.look_and_turn()
    assert ttl(desk) == 0


@played
async def test_a_pod_that_has_answered_is_not_yet_a_finished_job(make_desk: MakeDesk) -> None:
    """The round is done then, but Kubernetes counts from the Job's end."""
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 60})
    desk.answer(DENSE)
    await desk.look_and_turn()
    assert desk.round(DENSE)["state"] == "Done"
    assert patches(desk) == []
    desk.conclude(DENSE, 1, "Complete")
    updates = desk.server.writes.count("update pruningexperiments trial")
    await desk.look_and_turn()
    assert ttl(desk) == 60
    assert desk.server.writes.count("update pruningexperiments trial") == updates


@played
async def test_without_a_time_nothing_is_written(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk)
    desk.finish(DENSE)
    for _ in range(3):
        await desk.look_and_turn(after=100)
    assert patches(desk) == []


@played
async def test_a_failed_attempt_goes_too_once_its_round_goes_on(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 5})
    desk.fail(DENSE, code=1, message="boom")
    await desk.look_and_turn()
    assert desk.jobs() == [f"{DENSE}/1", f"{DENSE}/2"]
    assert (ttl(desk), ttl(desk, attempt=2)) == (5, None)
    desk.remove(JOBS, desk.job(DENSE, 1))
    await desk.look_and_turn(after=60)
    assert desk.round(DENSE)["failures"] == 1
    assert desk.jobs() == [f"{DENSE}/2"]


@played
async def test_jobs_that_went_are_not_missed_and_not_made_again(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 0})
    for name in (DENSE, "ticket-s0-l01", "report"):
        desk.finish(name)
        await desk.look_and_turn()
        for body in [desk.job(name)]:
            desk.remove(JOBS, body)
        await desk.look_and_turn(after=60)
    assert desk.status["phase"] == "Succeeded"
    before = desk.status
    again = make_desk()  # another operator, which has never seen one of them
    assert await again.look_and_turn() is None
    assert again.jobs() == []
    assert desk.status == before


@played
async def test_the_next_operator_finds_what_is_still_to_be_marked(make_desk: MakeDesk) -> None:
    """The first one died between the status and the Job."""
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 60})
    desk.finish(DENSE)
    desk.server.fail = lambda write: KubeError("killed") if write.startswith("patch") else None
    with pytest.raises(KubeError, match="killed"):
        await desk.look_and_turn()
    assert desk.round(DENSE)["state"] == "Done"
    assert desk.round("ticket-s0-l01")["state"] == "Running"  # it held nothing up
    desk.server.fail = lambda write: None
    again = make_desk()
    await again.look_and_turn()
    assert ttl(again) == 60


@played
async def test_a_changed_time_reaches_the_jobs_that_are_there_also_after_the_end(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk()
    await started(desk)
    for name in (DENSE, "ticket-s0-l01", "report"):
        desk.finish(name)
        await desk.look_and_turn()
    assert desk.status["phase"] == "Succeeded"
    assert patches(desk) == []
    for seconds in (3600, 60):
        change(desk, seconds)
        await desk.look_and_turn()
        assert {body["spec"]["ttlSecondsAfterFinished"] for body in desk.server.all(JOBS)} == {
            seconds
        }
    assert len(patches(desk)) == 6


@played
async def test_of_very_many_jobs_some_are_marked_at_a_time(make_desk: MakeDesk) -> None:
    desk = make_desk()
    levels = 2 * RETIRED_AT_ONCE
    await started(desk, limits={"parallelism": 1000}, seeds=list(range(levels)))
    while len(desk.server.all(JOBS)) < levels:
        await desk.look_and_turn()
    for seed in range(levels):
        desk.finish(f"dense-s{seed}", accuracy=0.98)
    await desk.look_and_turn()
    assert patches(desk) == []
    change(desk, 60)
    assert await desk.look_and_turn() == 0.0
    assert len(patches(desk)) == RETIRED_AT_ONCE
    assert await desk.look_and_turn() != 0.0
    assert len(patches(desk)) == levels


@played
async def test_a_job_that_has_gone_meanwhile_is_no_trouble(make_desk: MakeDesk) -> None:
    desk = make_desk()
    await started(desk, retention={"ttlSecondsAfterFinished": 0})
    desk.finish(DENSE)
    desk.watch()
    del desk.server.objects[JOBS, "ns", desk.job(DENSE)["metadata"]["name"]]
    await desk.turn()
    assert desk.round(DENSE)["state"] == "Done"


def test_nothing_is_marked_that_no_status_speaks_of() -> None:
    assert to_retire({}, (), 0) == []


def change(desk: Any, seconds: int) -> None:
    """Set the time, as a person would."""
    body = desk.server.objects[EXPERIMENTS, "ns", "trial"]
    desk.server.change(body, spec={"retention": {"ttlSecondsAfterFinished": seconds}})
    body["metadata"]["generation"] += 1
