"""What the plan is told of an attempt, by the state of its Job and Pods."""

from dataclasses import replace
from typing import Any

import pytest

from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.contract import RoundError, RoundResult
from ticketsmith.experiment.status import RoundStatus
from ticketsmith_operator.controller.memory import Sighting
from ticketsmith_operator.controller.observe import is_over, lacks_its_end, observe, why_stuck
from ticketsmith_operator.controller.views import JobView, PodView, job_view, pod_view

NOW = 1_750_000_000.0
KEY = "0123456789abcdef"
RESULT = RoundResult(key=KEY, arm="dense").model_dump_json()


def job(**changes: Any) -> Sighting[JobView]:
    view = job_view(
        {
            "metadata": {
                "namespace": "ns",
                "name": "trial-dense-s0-1",
                "uid": "job",
                "resourceVersion": "1",
                "labels": {
                    "ticketsmith.dev/round": "dense-s0",
                    "ticketsmith.dev/attempt": "1",
                    "ticketsmith.dev/experiment-uid": "exp",
                },
            }
        }
    )
    assert view is not None
    times = {name: changes.pop(name) for name in ("running_since", "ended_at") if name in changes}
    return Sighting(replace(view, **changes), **times)


def pod(uid: str = "pod", seen: float = NOW, **state: Any) -> Sighting[PodView]:
    body = {
        "metadata": {
            "namespace": "ns",
            "name": uid,
            "uid": uid,
            "resourceVersion": "1",
            "labels": {"job-name": "trial-dense-s0-1"},
        },
        "status": {"containerStatuses": [{"name": "round", "state": state}]},
    }
    view = pod_view(body)
    assert view is not None
    return Sighting(
        view,
        running_since=seen if view.running else None,
        ended_at=seen if view.exit_code is not None else None,
    )


def ended(code: int, message: str = "", reason: str = "") -> dict[str, Any]:
    """Ten seconds of work, by a clock that is a year behind."""
    times = {"startedAt": "2024-06-15T00:00:00Z", "finishedAt": "2024-06-15T00:00:10Z"}
    return {"terminated": {"exitCode": code, "message": message, "reason": reason, **times}}


RUNNING = {"running": {"startedAt": "2024-06-15T00:00:00Z"}}
COMPLETE = {"outcome": "complete", "ended_at": NOW}
FAILED = {"outcome": "failed", "ended_at": NOW}


# --- while it goes on ----------------------------------------------------------------------------
def test_a_job_without_a_pod_is_queued() -> None:
    seen = observe(job(), [], None, NOW)
    assert (seen.state, seen.started_at, seen.finished_at) == ("queued", None, None)


def test_a_running_container_counts_from_when_it_was_seen_to_run() -> None:
    seen = observe(job(), [pod(**RUNNING, seen=NOW - 5)], None, NOW)
    assert (seen.state, seen.started_at) == ("running", NOW - 5)


def test_a_job_that_is_being_deleted_keeps_its_place() -> None:
    assert observe(job(deleting=True), [], None, NOW).state == "running"


def test_a_job_evicted_from_its_queue_is_queued_since_its_pod_ended() -> None:
    seen = observe(job(suspended=True), [pod(**ended(143), seen=NOW - 60)], None, NOW)
    assert (seen.state, seen.finished_at) == ("queued", NOW - 60)


def test_a_replaced_pod_means_waiting_again_until_the_next_one_runs() -> None:
    first = pod("first", **ended(143), seen=NOW - 60)
    waiting = pod("second", waiting={"reason": "ContainerCreating"})
    assert observe(job(), [first, waiting], None, NOW).state == "queued"
    again = pod("second", **RUNNING, seen=NOW - 20)
    seen = observe(job(), [first, again], None, NOW)
    assert (seen.state, seen.started_at) == ("running", NOW - 20)


def test_a_pod_that_failed_is_not_judged_before_its_job_is() -> None:
    assert observe(job(), [pod(**ended(1))], None, NOW).state == "running"


# --- how it ended --------------------------------------------------------------------------------
def test_a_result_counts_before_the_job_is_complete() -> None:
    seen = observe(job(), [pod(**ended(0, RESULT))], None, NOW)
    assert seen.state == "done"
    assert isinstance(seen.answer, RoundResult)


def test_times_are_ours_and_durations_the_nodes() -> None:
    seen = observe(job(**COMPLETE), [pod(**ended(0, RESULT))], None, NOW)
    assert (seen.started_at, seen.finished_at) == (NOW - 10, NOW)
    known = RoundStatus(
        name="dense-s0", arm="dense", state="Running", started_at=rfc3339(NOW - 3600)
    )
    seen = observe(job(**COMPLETE), [pod(**ended(0, RESULT))], known, NOW)
    assert seen.finished_at == NOW - 3600 + 10


@pytest.mark.parametrize("message", ["", "no JSON", RESULT[:-5], '{"outcome": "done"}', "x" * 4096])
def test_a_complete_job_without_a_whole_answer_has_none(message: str) -> None:
    seen = observe(job(**COMPLETE), [pod(**ended(0, message))], None, NOW)
    assert (seen.state, seen.answer) == ("done", None)


def test_a_refusal_is_passed_on_with_its_exit_code() -> None:
    words = RoundError(exit_code=2, message="no such model").model_dump_json()
    seen = observe(job(**FAILED), [pod(**ended(2, words))], None, NOW)
    assert (seen.state, seen.exit_code) == ("failed", 2)
    assert seen.answer == RoundError(exit_code=2, message="no such model")


@pytest.mark.parametrize("code", [130, 143])
def test_a_round_that_was_told_to_stop_is_interrupted(code: int) -> None:
    assert observe(job(**FAILED), [pod(**ended(code))], None, NOW).state == "interrupted"


def test_memory_that_ran_out_is_told_with_the_remedy() -> None:
    seen = observe(job(**FAILED), [pod(**ended(137, reason="OOMKilled"))], None, NOW)
    assert seen.state == "failed"
    assert "resources.limits.memory" in (seen.message or "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"given_up": "no such image"}, "no such image"),
        ({"reason": "DeadlineExceeded", "deadline": 60}, "deadline of 60 s"),
        ({"message": "Job has reached the backoff limit"}, "backoff limit"),
    ],
)
def test_a_job_that_failed_without_a_pod_says_why(changes: dict[str, Any], words: str) -> None:
    seen = observe(job(**FAILED, **changes), [], None, NOW)
    assert seen.state == "failed"
    assert words in (seen.message or "")


def test_a_placeholder_is_an_interruption() -> None:
    assert observe(job(void=True, suspended=True), [], None, NOW).state == "interrupted"


def test_a_job_managed_elsewhere_answers_in_its_condition() -> None:
    done = job(**COMPLETE, managed=True, message=RESULT, started_at=0.0, finished_at=10.0)
    seen = observe(done, [], None, NOW)
    assert (seen.state, seen.started_at, seen.finished_at) == ("done", NOW - 10, NOW)
    assert isinstance(seen.answer, RoundResult)
    running = observe(job(managed=True, running_since=NOW - 3), [], None, NOW)
    assert (running.state, running.started_at) == ("running", NOW - 3)


# --- doubts --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("one", "pods", "doubtful"),
    [
        (job(), [], False),
        (job(**COMPLETE), [], True),
        (job(**COMPLETE), [pod(**RUNNING)], True),
        (job(**COMPLETE), [pod(**ended(0, RESULT))], False),
        # The Pod before it was evicted; the one that did the work was not seen to end, or not at all.
        (job(**COMPLETE), [pod(**ended(143)), pod(**RUNNING)], True),
        (job(**COMPLETE), [pod(**ended(143))], True),
        (job(**COMPLETE), [pod(**ended(143)), pod(**ended(0, RESULT))], False),
        (job(**FAILED), [pod(**ended(143)), pod(**RUNNING)], True),
        (job(**FAILED), [pod(**ended(143))], True),
        (job(**FAILED), [pod(**ended(143)), pod(**ended(1))], False),
        (job(**FAILED), [], True),
        (job(**FAILED, reason="DeadlineExceeded"), [], False),
        (job(**FAILED, given_up="x"), [], False),
        (job(**COMPLETE, managed=True), [], False),
        (job(void=True), [], False),
    ],
)
def test_the_pods_are_asked_for_only_where_they_must_tell_how_it_ended(
    one: Sighting[JobView], pods: list[Sighting[PodView]], doubtful: bool
) -> None:
    assert lacks_its_end(one.view, pods) is doubtful


def test_a_job_is_over_when_it_is_judged_or_has_its_result() -> None:
    assert not is_over(job().view, [pod(**RUNNING)])
    assert is_over(job().view, [pod(**ended(0, RESULT))])
    assert not is_over(job().view, [pod(**ended(0, "no result"))])
    assert is_over(job(**FAILED).view, [])
    assert is_over(job(void=True).view, [])


def test_a_container_that_waits_for_a_usual_reason_is_not_stuck() -> None:
    creating = pod(waiting={"reason": "ContainerCreating"})
    assert why_stuck([creating], NOW, 60) == (None, None)


def test_a_container_that_cannot_start_is_stuck_once_the_grace_is_over() -> None:
    waiting = pod(waiting={"reason": "ErrImagePull", "message": "not found"})
    stuck = replace(waiting, stuck_since=NOW - 59)
    assert why_stuck([stuck], NOW, 60) == (None, 1.0)
    why, again = why_stuck([stuck], NOW + 1, 60)
    assert again is None
    assert "ErrImagePull" in (why or "")
    assert "not found" in (why or "")
