"""From a Job and its Pods to what the plan is told of an attempt. Pure.

Durations are taken from one clock, the node's; moments are those at which this operator saw things happen. So a clock
that is an hour off changes no deadline and no cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from ticketsmith.experiment.clock import unix
from ticketsmith.experiment.contract import RoundError, RoundResult, read_answer
from ticketsmith.experiment.decision import Observed
from ticketsmith.experiment.status import RoundStatus
from ticketsmith_operator.controller.memory import Sighting
from ticketsmith_operator.controller.views import JobView, PodView

_TOLD_TO_STOP = {143, 130}
"""Exit codes of a round that was asked to stop and kept a checkpoint."""
_DEADLINE = "DeadlineExceeded"
_OUT_OF_MEMORY = "OOMKilled"

Pods = Sequence[Sighting[PodView]]


@dataclass(frozen=True, slots=True)
class Span:
    """When an attempt worked, by this operator's clock."""

    started_at: float | None
    finished_at: float | None


def is_over(job: JobView, pods: Pods) -> bool:
    """Whether nothing of the Job runs or will run."""
    return job.void or job.outcome is not None or _result(pods) is not None


def lacks_its_end(job: JobView, pods: Pods) -> bool:
    """Whether the Job has ended but the Pod that tells how was not seen to end. Pods that it had before, and that were
    evicted, tell nothing of it."""
    if job.outcome is None or job.void or job.managed or job.given_up or job.reason == _DEADLINE:
        return False
    if job.outcome == "complete":
        return all(seen.view.exit_code != 0 for seen in pods)
    ended = [
        one.view for one in pods if one.view.exit_code is not None or one.view.phase == "Failed"
    ]
    return len(ended) < len(pods) or all(one.exit_code in _TOLD_TO_STOP for one in ended)


def observe(job: Sighting[JobView], pods: Pods, known: RoundStatus | None, now: float) -> Observed:
    """The attempt as the plan is to see it; `known` is its round in the status."""
    view = job.view
    if view.managed and not view.void:
        return _observe_managed(job, known, now)
    if not is_over(view, pods):
        return _observe_unfinished(view, pods, known)
    last = _last_ended(pods)
    span = _span(last, known)
    if view.void:
        return Observed(view.round, view.attempt, "interrupted", None, now)
    answer = _result(pods)
    if view.outcome == "failed" and answer is None:
        return _observe_failed(view, last, span)
    return Observed(view.round, view.attempt, "done", span.started_at, span.finished_at, answer, 0)


def why_stuck(pods: Pods, now: float, grace: float) -> tuple[str | None, float | None]:
    """Why no Pod will ever start, once that lasted for `grace` seconds; else in how many seconds to look again."""
    for seen in pods:
        if seen.stuck_since is None or seen.view.deleting:
            continue
        left = seen.stuck_since + grace - now
        if left > 0:
            return None, left
        said = seen.view.waiting_message or "no reason is given"
        return f"its container cannot start ({seen.view.waiting}): {said}", None
    return None, None


def read(text: str) -> RoundResult | RoundError | None:
    """The answer in a termination message, if there is one."""
    try:
        return read_answer(text)
    except ValidationError:
        return None


def _observe_unfinished(view: JobView, pods: Pods, known: RoundStatus | None) -> Observed:
    if view.deleting:  # it keeps its place until it has gone
        return Observed(view.round, view.attempt, "running")
    working = [seen for seen in pods if seen.view.running and not view.suspended]
    if working:
        return Observed(view.round, view.attempt, "running", working[-1].running_since)
    newest = pods[-1] if pods else None
    if newest is not None and newest.view.exit_code is not None and not view.suspended:
        # Its Job has not judged it yet: it fails, or replaces it.
        return Observed(view.round, view.attempt, "running", newest.running_since)
    last = _last_ended(pods)
    finished = _span(last, known).finished_at
    return Observed(view.round, view.attempt, "queued", None, finished)


def _observe_failed(view: JobView, last: Sighting[PodView] | None, span: Span) -> Observed:
    def failed(message: str, code: int | None = None, answer: RoundError | None = None) -> Observed:
        times = (span.started_at, span.finished_at)
        return Observed(view.round, view.attempt, "failed", *times, answer, code, message)

    if view.given_up:
        return failed(view.given_up)
    if view.reason == _DEADLINE:
        return failed(f"Kubernetes ended it at its deadline of {view.deadline} s, waiting included")
    if last is None:
        return failed(view.message or "its Job failed and left no Pod")
    pod = last.view
    if pod.ended_by == _OUT_OF_MEMORY:
        return failed(
            "out of memory (OOMKilled): raise runner.resources.limits.memory or lower"
            " training.batchSize",
            pod.exit_code,
        )
    answer = read(pod.answer)
    if pod.exit_code in _TOLD_TO_STOP:
        return Observed(view.round, view.attempt, "interrupted", span.started_at, span.finished_at)
    words = pod.answer or pod.message or pod.reason or view.message
    return failed(words, pod.exit_code, answer if isinstance(answer, RoundError) else None)


def _observe_managed(job: Sighting[JobView], known: RoundStatus | None, now: float) -> Observed:
    """A Job that another controller carries out: its conditions are all there is to see."""
    view = job.view
    begun = known.started_at if known is not None else None
    started = unix(begun) if begun is not None else job.running_since
    if view.outcome is None:
        if started is None or view.suspended:
            return Observed(view.round, view.attempt, "queued", None, now)
        return Observed(view.round, view.attempt, "running", started)
    ended = job.ended_at or now
    took = _length(view.started_at, view.finished_at)
    started = ended - took if begun is None else started
    span = Span(started, None if started is None else started + took)
    if view.outcome == "failed":
        return _observe_failed(view, None, span)
    return Observed(
        view.round,
        view.attempt,
        "done",
        span.started_at,
        span.finished_at,
        read(view.message),
        0,
    )


def _result(pods: Pods) -> RoundResult | None:
    """The result that a Pod left, which may be seen before its Job is marked complete."""
    for seen in pods:
        if seen.view.exit_code == 0:
            answer = read(seen.view.answer)
            if isinstance(answer, RoundResult):
                return answer
    return None


def _last_ended(pods: Pods) -> Sighting[PodView] | None:
    ended = [seen for seen in pods if seen.view.exit_code is not None]
    return max(ended, key=lambda seen: seen.ended_at or 0.0, default=None)


def _span(pod: Sighting[PodView] | None, known: RoundStatus | None) -> Span:
    """When the container worked: as long as its node says, and begun when it was first seen to run."""
    if pod is None or pod.ended_at is None:
        return Span(None, None)
    took = _length(pod.view.started_at, pod.view.finished_at)
    if known is not None and known.started_at is not None:
        started = unix(known.started_at)
    else:
        started = pod.ended_at - took
    return Span(started, started + took)


def _length(started: float | None, finished: float | None) -> float:
    return 0.0 if started is None or finished is None else max(0.0, finished - started)
