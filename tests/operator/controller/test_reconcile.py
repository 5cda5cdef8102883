"""One operator's turns: what it writes, makes and deletes, and what it does when the server does not go along."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ticketsmith_operator.controller.news import PATIENCE_SECONDS
from ticketsmith_operator.kube.base import (
    EVENTS,
    EXPERIMENTS,
    JOBS,
    PODS,
    Conflict,
    KubeError,
    Refused,
)

Desks = Callable[..., Any]


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


# --- the story -----------------------------------------------------------------------------------
def test_an_experiment_goes_from_its_first_round_to_its_ending(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        assert (desk.status["phase"], desk.jobs()) == ("Running", ["dense-s0/1"])
        for name in ("dense-s0", "ticket-s0-l01", "report"):
            desk.finish(name)
            await desk.look_and_turn(after=10)
        assert (desk.status["phase"], desk.status["progress"]) == ("Succeeded", "3/3")
        assert desk.told() == ["RoundStarted", "Completed"]

    play(scene())


def test_the_status_is_written_before_a_job_is_made_and_events_come_last(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()
    play(desk.look_and_turn())
    verbs = [write.rsplit(" ", 1)[0] for write in desk.server.writes]
    assert verbs == ["update pruningexperiments", "create jobs", "create events"]


def test_a_round_costs_three_writes(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.finish("dense-s0")
        desk.server.writes.clear()
        await desk.look_and_turn(after=PATIENCE_SECONDS)
        assert len(desk.server.writes) == 3

    play(scene())


def test_looking_again_writes_nothing(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.server.writes.clear()
        for _ in range(3):
            await desk.look_and_turn(after=100)
        assert desk.server.writes == []

    play(scene())


def test_a_result_counts_as_soon_as_the_pod_has_left_it(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.answer("dense-s0")
        await desk.look_and_turn(after=10)
        assert desk.round("dense-s0")["state"] == "Done"
        assert "delete" not in " ".join(desk.server.writes)

    play(scene())


# --- what the fence holds off ---------------------------------------------------------------------
def test_who_decides_on_a_stale_status_touches_nothing(make_desk: Desks) -> None:
    quick, slow = make_desk(), make_desk()
    quick.apply()

    async def scene() -> None:
        slow.watch()
        await quick.look_and_turn()
        quick.finish("dense-s0")
        await quick.look_and_turn(after=10)
        before = list(quick.server.writes)
        with pytest.raises(Conflict):
            await slow.turn(after=10)
        assert quick.server.writes[len(before) :] == ["update pruningexperiments trial"]
        await slow.refresh()
        await slow.look_and_turn()
        assert slow.jobs() == ["dense-s0/1", "ticket-s0-l01/1"]

    play(scene())


def test_two_operators_at_once_run_every_round_once(make_desk: Desks) -> None:
    desks = [make_desk(), make_desk()]
    desks[0].apply()

    async def both() -> None:
        for desk in desks:
            desk.watch()
        for done in await asyncio.gather(
            *(d.turn(after=10) for d in desks), return_exceptions=True
        ):
            assert done is None or isinstance(done, float | Conflict), done
        for desk in desks:
            await desk.refresh()

    async def scene() -> None:
        await both()
        for name in ("dense-s0", "ticket-s0-l01", "report"):
            desks[0].finish(name)
            await both()
            await both()
        assert desks[0].status["phase"] == "Succeeded"
        assert desks[0].jobs() == ["dense-s0/1", "ticket-s0-l01/1", "report/1"]

    play(scene())


def test_an_unchanged_status_is_still_written_before_a_job_is_deleted(make_desk: Desks) -> None:
    """Whoever deletes must know that what it decided on is what stands there."""
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        stray = desk.job("dense-s0")
        labels = stray["metadata"]["labels"] | {"ticketsmith.dev/attempt": "7"}
        desk.server.put(JOBS, "ns", {**stray, "metadata": {"name": "stray", "labels": labels}})
        desk.server.writes.clear()
        await desk.look_and_turn()
        assert desk.server.writes == ["update pruningexperiments trial", "delete jobs stray"]

    play(scene())


# --- cut short, and taken up again ----------------------------------------------------------------
def test_a_job_that_was_announced_but_never_made_is_given_up_and_its_name_kept(
    make_desk: Desks,
) -> None:
    """Killed between the status and the Job. The name is taken, so that nobody can make that Job any more."""
    first = make_desk()
    first.apply()

    async def scene() -> None:
        first.server.fail = lambda write: (
            KubeError("gone") if write.startswith("create jobs") else None
        )
        with pytest.raises(KubeError):
            await first.look_and_turn()
        first.server.fail = lambda write: None
        second = make_desk()
        assert await second.look_and_turn() == 5.0
        assert second.jobs() == []
        await second.look_and_turn(after=6)
        assert second.jobs() == ["dense-s0/1", "dense-s0/2"]
        assert second.job("dense-s0", 1)["spec"]["suspend"] is True
        second.finish("dense-s0", 2)
        await second.look_and_turn(after=10)
        assert second.round("dense-s0")["state"] == "Done"
        assert second.round("dense-s0")["failures"] == 0

    play(scene())


def test_a_job_that_memory_does_not_know_but_that_is_there_is_not_given_up(
    make_desk: Desks,
) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        late = make_desk()
        late.watch(EXPERIMENTS)
        await late.turn()
        await late.turn(after=6)
        assert late.jobs() == ["dense-s0/1"]
        assert late.round("dense-s0")["attempts"] == 1

    play(scene())


def test_a_job_that_was_complete_before_memory_knew_it_has_its_result(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.finish("dense-s0")
        late = make_desk()
        late.watch(EXPERIMENTS)
        await late.turn()
        await late.turn(after=6)
        assert late.round("dense-s0")["state"] == "Done"
        assert late.round("dense-s0")["failures"] == 0

    play(scene())


def test_short_rounds_share_an_event_that_is_told_when_it_is_due(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.finish("dense-s0")
        assert await desk.look_and_turn(after=10) == PATIENCE_SECONDS - 10
        assert desk.told() == ["RoundStarted"]
        await desk.turn(after=PATIENCE_SECONDS - 10)
        [_, told] = desk.server.all(EVENTS)
        assert told["message"].startswith("dense-s0 is done")
        assert "ticket-s0-l01 starts" in told["message"]

    play(scene())


def test_a_job_that_cannot_be_made_now_is_made_later_under_the_same_name(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        full = Refused("exceeded quota", code=403)
        desk.server.fail = lambda write: full if write.startswith("create jobs") else None
        for _ in range(2):
            with pytest.raises(Refused):
                await desk.look_and_turn(after=30)
        [event] = [e for e in desk.server.all(EVENTS) if e["reason"] == "RoundNotStarted"]
        assert "exceeded quota" in event["message"]
        assert event["count"] == 2
        desk.server.fail = lambda write: None
        await desk.look_and_turn(after=30)
        assert desk.jobs() == ["dense-s0/1"]

    play(scene())


def test_a_call_that_somebody_cancels_is_made_again(make_desk: Desks) -> None:
    """As kopf does when watching breaks off: it cancels the calls, and must not end the worker."""
    desk = make_desk()
    desk.apply()
    desk.server.fail = lambda write: (
        asyncio.CancelledError() if write.startswith("create jobs") else None
    )

    async def scene() -> None:
        with pytest.raises(KubeError, match="cut off"):
            await desk.look_and_turn()
        desk.server.fail = lambda write: None
        await desk.look_and_turn()
        assert desk.jobs() == ["dense-s0/1"]

    play(scene())


def test_a_job_that_is_still_to_be_made_is_not_forgotten_over_a_conflict(make_desk: Desks) -> None:
    desk = make_desk()
    body = desk.apply()

    async def scene() -> None:
        full = Refused("exceeded quota", code=403)
        desk.server.fail = lambda write: full if write.startswith("create jobs") else None
        with pytest.raises(Refused):
            await desk.look_and_turn()
        desk.server.fail = lambda write: None
        desk.watch()
        desk.server.change(body, metadata={"labels": {"changed": "meanwhile"}})
        with pytest.raises(Conflict):
            await desk.turn(after=30)
        await desk.refresh()
        await desk.turn(after=30)
        assert desk.jobs() == ["dense-s0/1"]
        assert "suspend" not in desk.job("dense-s0")["spec"]

    play(scene())


def test_a_job_the_server_will_never_take_is_a_failed_attempt(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply(limits={"retries": 0})

    async def scene() -> None:
        wrong = Refused("spec.template: invalid", code=422)
        desk.server.fail = lambda write: wrong if write.startswith("create jobs") else None
        with pytest.raises(Refused):
            await desk.look_and_turn()
        await desk.look_and_turn()
        assert (desk.status["phase"], desk.status["reason"]) == ("Failed", "RoundFailed")
        assert "spec.template: invalid" in desk.status["message"]

    play(scene())


def test_an_event_that_cannot_be_posted_stops_nothing(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()
    desk.server.fail = lambda write: KubeError("no") if "events" in write else None
    play(desk.look_and_turn())
    assert desk.jobs() == ["dense-s0/1"]


# --- what becomes of Jobs -------------------------------------------------------------------------
def test_suspending_deletes_the_job_and_resuming_starts_the_next_attempt(make_desk: Desks) -> None:
    desk = make_desk()
    body = desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.pod("dense-s0", running={"startedAt": "2025-06-15T00:00:00Z"})
        await desk.look_and_turn(after=3)
        desk.server.change(body, spec={"suspend": True}, metadata={"generation": 2})
        await desk.look_and_turn(after=10)
        assert (desk.status["phase"], desk.jobs()) == ("Suspended", [])
        desk.server.change(body, spec={"suspend": False}, metadata={"generation": 3})
        await desk.look_and_turn(after=10)
        assert desk.jobs() == []  # the first attempt is still there, and keeps its place
        desk.remove(PODS, desk.pod("dense-s0", terminated={"exitCode": 143}))
        desk.remove(JOBS, desk.job("dense-s0"))
        await desk.look_and_turn(after=1)
        assert desk.jobs() == ["dense-s0/2"]
        assert desk.round("dense-s0")["failures"] == 0

    play(scene())


def test_a_job_deleted_by_hand_is_an_interruption(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.remove(JOBS, desk.job("dense-s0"))
        await desk.turn()
        await desk.turn(after=6)
        await desk.turn()
        assert desk.round("dense-s0")["attempts"] == 2
        assert desk.round("dense-s0")["failures"] == 0

    play(scene())


def test_a_container_that_cannot_start_is_given_up_after_a_while(make_desk: Desks) -> None:
    desk = make_desk(start_grace_seconds=60)
    desk.apply(limits={"retries": 0})

    async def scene() -> None:
        await desk.look_and_turn()
        desk.pod("dense-s0", waiting={"reason": "ImagePullBackOff", "message": "no such image"})
        assert await desk.look_and_turn(after=1) == 59
        await desk.look_and_turn(after=61)
        job = desk.job("dense-s0")
        assert job["spec"]["activeDeadlineSeconds"] == 1
        assert desk.status["phase"] == "Running"
        desk.conclude("dense-s0", 1, "Failed", "DeadlineExceeded")
        await desk.look_and_turn(after=2)
        assert desk.status["reason"] == "RoundFailed"
        assert "ImagePullBackOff" in desk.status["message"]
        assert "no such image" in desk.status["message"]

    play(scene())


def test_a_job_that_ended_without_its_pods_end_being_seen_is_asked_about(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.finish("dense-s0")
        desk.watch(EXPERIMENTS, JOBS)
        await desk.turn(after=10)
        assert desk.round("dense-s0")["state"] == "Done"

    play(scene())


def test_nothing_is_made_for_an_experiment_that_is_being_deleted(make_desk: Desks) -> None:
    desk = make_desk()
    body = desk.apply()
    desk.server.change(body, metadata={"deletionTimestamp": "2025-06-15T00:00:00Z"})
    play(desk.look_and_turn())
    assert desk.server.writes == []


def test_a_namesake_made_anew_does_not_take_over_the_old_ones_jobs(make_desk: Desks) -> None:
    desk = make_desk()
    body = desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.finish("dense-s0")
        desk.watch()
        desk.remove(EXPERIMENTS, body)
        desk.apply()
        await desk.look_and_turn(after=10)
        assert desk.round("dense-s0")["state"] == "Running"
        assert desk.jobs() == ["dense-s0/1", "dense-s0/1"]

    play(scene())


# --- specs and statuses that are wrong --------------------------------------------------------------
def test_a_spec_that_cannot_be_read_is_refused_with_its_problem(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply(gates=[{"metric": "accuracy"}])
    play(desk.look_and_turn())
    assert (desk.status["phase"], desk.status["reason"]) == ("Failed", "InvalidSpec")
    assert "spec.gates[0]" in desk.status["message"]
    assert desk.told() == ["InvalidSpec"]
    assert desk.jobs() == []


def test_an_experiment_without_artifacts_is_refused(make_desk: Desks) -> None:
    desk = make_desk()
    desk.apply(artifacts=None)
    play(desk.look_and_turn())
    assert "spec.artifacts" in desk.status["message"]


def test_an_experiment_that_names_no_store_takes_the_operators(make_desk: Desks) -> None:
    desk = make_desk(artifacts_uri="file:///artifacts", artifacts_claim="shared")
    body = desk.apply(artifacts=None)
    play(desk.look_and_turn())
    pod = desk.job("dense-s0")["spec"]["template"]["spec"]
    claims = [v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert [claim["claimName"] for claim in claims] == ["shared"]
    assert body["spec"]["artifacts"] is None


def test_a_spec_that_becomes_wrong_lets_what_runs_go_on(make_desk: Desks) -> None:
    desk = make_desk()
    body = desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        wrong = {"tolerations": [{"operator": "Exists", "value": "x"}]}
        desk.server.change(body, spec={"runner": wrong}, metadata={"generation": 2})
        await desk.look_and_turn(after=10)
        accepted = next(c for c in desk.status["conditions"] if c["type"] == "Accepted")
        assert (desk.status["phase"], accepted["status"]) == ("Running", "False")
        assert desk.jobs() == ["dense-s0/1"]
        desk.finish("dense-s0")
        desk.server.change(body, spec={"runner": {"tolerations": []}}, metadata={"generation": 3})
        await desk.look_and_turn(after=10)
        assert desk.jobs() == ["dense-s0/1", "ticket-s0-l01/1"]

    play(scene())


@pytest.mark.parametrize(
    "garbage", [{}, {"phase": "Running", "rounds": 7}, {"startedAt": "9999-99-99T00:00:00Z"}]
)
def test_a_status_spoilt_by_hand_is_found_anew_from_the_jobs(
    make_desk: Desks, garbage: dict[str, Any]
) -> None:
    desk = make_desk()
    body = desk.apply()

    async def scene() -> None:
        await desk.look_and_turn()
        desk.finish("dense-s0")
        await desk.look_and_turn(after=10)
        body["status"] = garbage
        desk.server.change(body)
        for _ in range(3):
            await desk.look_and_turn(after=10)
        assert desk.round("dense-s0")["state"] == "Done"
        assert [j for j in desk.jobs() if j.startswith("dense")] == ["dense-s0/1"]

    play(scene())
