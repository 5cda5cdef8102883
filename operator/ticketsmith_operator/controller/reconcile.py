"""Make the cluster agree with the plan, for one experiment at a time.

A turn: look (memory, and the API server only where memory is in doubt), decide (`plan`), write the status, then make
and delete Jobs, then tell. The status goes first and carries the version it was decided on: whoever decided on
something stale, or second, is refused and touches nothing. So a Job is only ever made for an attempt that a status
announced, and a turn that is cut short anywhere is taken up by the next.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ticketsmith.experiment.base import API_VERSION, KIND
from ticketsmith.experiment.decision import Decision, Event, Observed, Start
from ticketsmith.experiment.endings import TERMINAL, not_accepted
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith_operator.controller.defaults import complete
from ticketsmith_operator.controller.memory import Memory, Sighting
from ticketsmith_operator.controller.observe import Pods, is_over, lacks_its_end, observe
from ticketsmith_operator.controller.placeholder import placeholder
from ticketsmith_operator.controller.retire import is_told, to_retire
from ticketsmith_operator.controller.telling import Teller
from ticketsmith_operator.controller.todo import Todo, is_wanted, work_out
from ticketsmith_operator.controller.together import together
from ticketsmith_operator.controller.views import ExperimentView, JobView, Key
from ticketsmith_operator.controller.world import world
from ticketsmith_operator.kube.base import (
    EXPERIMENTS,
    JOBS,
    PODS,
    AlreadyThere,
    Conflict,
    Kube,
    KubeError,
    NotThere,
    Refused,
)
from ticketsmith_operator.metrics.metrics import Metrics
from ticketsmith_operator.money.prices import Place, PriceFile
from ticketsmith_operator.names import GIVEN_UP, job_name
from ticketsmith_operator.render.job import render_job
from ticketsmith_operator.render.refusal import unrenderable
from ticketsmith_operator.settings import Settings
from ticketsmith_operator.tracing.spans import Change
from ticketsmith_operator.tracing.traces import Traces

_LOG = logging.getLogger(__name__)
QUIET_SECONDS = 2.0
"""A status that only tells when a round's container began waits so long for company."""
RETIRED_AT_ONCE = 50
"""Jobs that one turn gives a time to go: of thousands, the others come in turns of their own."""
_HOPELESS = {400, 413, 422}
"""The API server will never take this Job."""

Attempt = tuple[str, str, int]
"""Uid of the experiment, name of the round, number of the attempt."""


@dataclass(slots=True)
class _Turn:
    """What one look at an experiment found."""

    view: ExperimentView
    experiment: PruningExperiment
    now: float
    rounds: dict[str, RoundStatus]
    """Of the status before this turn."""
    jobs: list[tuple[Sighting[JobView], Pods]] = field(default_factory=list)
    observed: list[Observed] = field(default_factory=list)
    look_again: list[float] = field(default_factory=list)
    """Seconds after which something may be due."""
    answered_at: float | None = None
    """When the latest end that this turn takes in was seen."""


class Reconciler:
    """Carries out turns. What it keeps between them may be lost at any time."""

    def __init__(
        self,
        kube: Kube,
        memory: Memory,
        settings: Settings,
        prices: PriceFile,
        metrics: Metrics,
        now: Callable[[], float],
        traces: Traces | None = None,
    ) -> None:
        self._kube = kube
        self._teller = Teller(kube)
        self._memory = memory
        self._settings = settings
        self._prices = prices
        self._metrics = metrics
        self._now = now
        self._traces = traces
        self._announced: dict[Attempt, Start] = {}
        """Written to a status, but their Jobs could not be made yet."""
        self._refused: dict[Attempt, str] = {}
        """Attempts whose Jobs the API server will never take, and its words."""
        self._missing_since: dict[Attempt, float] = {}
        self._written_at: dict[str, float] = {}
        """When each experiment's status was last written, by uid."""

    async def reconcile(self, key: Key) -> float | None:
        """Take one turn; the seconds after which to take the next even if nothing happens. KubeError if the API server
        does not go along: then take it again."""
        view = self._memory.experiment(key)
        if view is None or view.deleting:
            return None
        experiment = view.experiment and complete(view.experiment, self._settings)
        problem = view.problem or (experiment and unrenderable(experiment))
        if experiment is None or problem:
            await self._refuse(view, str(problem))
            return None
        turn = _Turn(view, experiment, self._now(), _rounds(view.status))
        await self._look(turn)
        runner, capacity = experiment.spec.runner, self._settings.capacity
        place = self._prices.current().place(runner)
        decision = plan(experiment, turn.observed, world(turn.now, runner, place, capacity))
        if decision.status.phase not in TERMINAL:
            self._metrics.expect(key[0], place)
        after = _rounds(decision.status)
        grace = self._settings.start_grace_seconds
        todo = work_out(after, turn.jobs, turn.now, grace)
        announced = self._to_make(view.uid, decision, after)
        due = (decision.requeue_after, todo.look_again)
        if not await self._write(turn, decision, place, acts=bool(announced or _acts(todo))):
            tell_again = await self._teller.tell(view, (), turn.now)
            retire_again = await self._retire(turn, turn.rounds)
            return _soonest(*due, *turn.look_again, tell_again, retire_again)
        _log(view, decision.events, after)
        failure = await self._act(turn, announced, todo)
        tell_again = await self._teller.tell(view, decision.events, turn.now)
        if failure is not None:
            raise failure
        retire_again = await self._retire(turn, after)
        return _soonest(*due, *turn.look_again, tell_again, retire_again)

    def forget(self, uids: Collection[str]) -> None:
        """Drop what was kept for experiments that are not among these."""
        kept: tuple[dict[Attempt, Any], ...] = (self._announced, self._refused, self._missing_since)
        for notes in kept:
            for attempt in [one for one in notes if one[0] not in uids]:
                del notes[attempt]
        for uid in [one for one in self._written_at if one not in uids]:
            del self._written_at[uid]
        self._teller.forget(uids)
        if self._traces is not None:
            self._traces.forget(uids)

    # --- looking ---------------------------------------------------------------------------------
    async def _look(self, turn: _Turn) -> None:
        """Fill in the Jobs and what the plan is to be told of them."""
        view, known = turn.view, turn.rounds
        found = set()
        for seen in self._memory.jobs(view.uid):
            job = seen.view
            found.add((job.round, job.attempt))
            round_ = known.get(job.round)
            if not (is_over(job, self._memory.pods(job.key)) and is_told(job, round_)):
                await self._take_in(turn, seen, round_)
        for round_ in known.values():
            if round_.state == "Running" and (round_.name, round_.attempts) not in found:
                await self._look_for(turn, round_)

    async def _take_in(
        self, turn: _Turn, seen: Sighting[JobView], round_: RoundStatus | None
    ) -> None:
        """One Job, and what the plan is to be told of it."""
        job = seen.view
        pods: Pods = self._memory.pods(job.key)
        if lacks_its_end(job, pods):
            pods = await self._fetch_pods(job)
        turn.jobs.append((seen, pods))
        turn.observed.append(observe(seen, pods, round_, turn.now))
        if is_over(job, pods):
            ends = [seen.ended_at, *(pod.ended_at for pod in pods), turn.answered_at]
            turn.answered_at = max((end for end in ends if end is not None), default=None)

    async def _fetch_pods(self, job: JobView) -> Pods:
        """The Job's Pods from the API server: it ended, and the event that tells how was not seen yet."""
        namespace, name = job.key
        async for page in self._kube.pages(PODS, namespace, f"batch.kubernetes.io/job-name={name}"):
            for body in page.get("items", ()):
                self._memory.see(PODS, body)
        return self._memory.pods(job.key)

    async def _look_for(self, turn: _Turn, round_: RoundStatus) -> None:
        """What became of an attempt that the status has running and that memory knows no Job of."""
        attempt = (turn.view.uid, round_.name, round_.attempts)
        refusal = self._refused.get(attempt)
        if refusal is not None:
            turn.observed.append(Observed(round_.name, round_.attempts, "failed", message=refusal))
            return
        if attempt in self._announced:
            return
        since = self._missing_since.setdefault(attempt, turn.now)
        left = since + self._settings.missing_grace_seconds - turn.now
        if left > 0:
            turn.look_again.append(left)
            return
        namespace, _ = turn.view.key
        manifest = placeholder(turn.view, round_.name, round_.attempts, self._settings.image)
        try:
            body = await self._kube.create(JOBS, namespace, manifest)
        except AlreadyThere:
            body = await self._kube.get(JOBS, namespace, manifest["metadata"]["name"])
        self._missing_since.pop(attempt, None)
        self._memory.see(JOBS, body)
        seen = self._memory.job((namespace, body["metadata"]["name"]))
        if seen is not None:
            await self._take_in(turn, seen, round_)

    def _to_make(
        self, uid: str, decision: Decision, rounds: dict[str, RoundStatus]
    ) -> dict[Attempt, Start]:
        """Attempts to make Jobs for: those decided on now, and those left over that are still wanted."""
        starts = {(uid, s.round.name, s.attempt): s for s in decision.start}
        for attempt in [one for one in self._announced if one[0] == uid]:
            if is_wanted(rounds, attempt[1], attempt[2]):
                starts[attempt] = self._announced[attempt]
            else:
                del self._announced[attempt]
        return starts

    # --- writing ---------------------------------------------------------------------------------
    async def _write(self, turn: _Turn, decision: Decision, place: Place, *, acts: bool) -> bool:
        """Write the status, also if it stays as it is where something is to be done: to be refused if it is stale.
        Whether it was written."""
        view, status = turn.view, decision.status
        if status == view.status and not acts:
            return False
        if not acts and not decision.events and _is_small(view, status):
            waited = turn.now - self._written_at.get(view.uid, 0.0)
            if waited < QUIET_SECONDS:
                turn.look_again.append(QUIET_SECONDS - waited)
                return False
        await self._put(view, status)
        gates = turn.experiment.spec.gates
        self._metrics.decided(view.key[0], view.status, status, place, gates, turn.observed)
        if self._traces is not None:
            change = Change(
                namespace=view.key[0],
                experiment=turn.experiment,
                before=view.status,
                after=status,
                place=place,
                observed=turn.observed,
                now=turn.now,
            )
            self._traces.decided(view.uid, change)
        return True

    async def _put(self, view: ExperimentView, status: Status) -> None:
        namespace, name = view.key
        metadata = {
            **view.metadata,
            "namespace": namespace,
            "name": name,
            "uid": view.uid,
            "resourceVersion": str(view.version),
        }
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": metadata,
            "status": status.document(),
        }
        body = await self._kube.replace(EXPERIMENTS, namespace, document, subresource="status")
        version = int(body["metadata"]["resourceVersion"])
        known = view.experiment
        experiment = known and known.model_copy(update={"status": status})
        self._memory.write(replace(view, version=version, experiment=experiment, status=status))
        self._written_at[view.uid] = self._now()

    async def _refuse(self, view: ExperimentView, problem: str) -> None:
        """Say what is wrong with the spec. What runs goes on; nothing new starts."""
        now = self._now()
        status = not_accepted(view.status, problem, now, view.generation)
        if status == view.status:
            return
        await self._put(view, status)
        await self._teller.tell(view, [Event("Warning", "InvalidSpec", problem)], now)

    # --- acting ----------------------------------------------------------------------------------
    async def _act(
        self, turn: _Turn, announced: dict[Attempt, Start], todo: Todo
    ) -> KubeError | None:
        """Make, delete and give up Jobs, all at once; the first failure, when everything was tried."""
        failures = await together(
            [
                *(self._make(turn, attempt, start) for attempt, start in announced.items()),
                *(self._delete(job) for job in todo.delete),
                *(self._give_up(job, why) for job, why in todo.give_up),
            ]
        )
        return failures[0] if failures else None

    async def _make(self, turn: _Turn, attempt: Attempt, start: Start) -> None:
        namespace, name = turn.view.key
        # Until its Job is seen, the attempt stays on the list: whatever goes wrong now is tried again.
        self._announced[attempt] = start
        manifest = render_job(start, turn.experiment, self._settings)
        try:
            body = await self._kube.create(JOBS, namespace, manifest)
        except AlreadyThere:
            body = await self._kube.get(
                JOBS, namespace, job_name(name, turn.view.uid, start.round.name, start.attempt)
            )
        except Refused as refusal:
            if refusal.code not in _HOPELESS:
                message = f"{start.round.name} cannot start yet: {refusal}"
                await self._teller.tell(
                    turn.view, [Event("Warning", "RoundNotStarted", message)], turn.now
                )
                raise
            del self._announced[attempt]
            self._refused[attempt] = f"the API server refuses its Job: {refusal}"
            raise
        del self._announced[attempt]
        self._memory.see(JOBS, body)
        if turn.answered_at is not None:
            self._metrics.gap(self._now() - turn.answered_at)

    async def _delete(self, job: JobView) -> None:
        namespace, name = job.key
        try:
            await self._kube.delete(JOBS, namespace, name, uid=job.uid)
        except (NotThere, Conflict):
            return  # it has gone already, and the event that tells so is on its way

    async def _give_up(self, job: JobView, why: str) -> None:
        """Have Kubernetes end a Job that cannot start, so that it counts as a failed attempt and frees its place."""
        namespace, name = job.key
        patch: dict[str, Any] = {
            "metadata": {"annotations": {GIVEN_UP: why}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        self._memory.see(JOBS, await self._kube.patch(JOBS, namespace, name, patch))

    async def _retire(self, turn: _Turn, written: dict[str, RoundStatus]) -> float | None:
        """Have Kubernetes remove finished Jobs in their time, once the rounds that are `written` hold their ends. It is
        told by a field of the Job, so that neither a restart nor an absence of this operator matters."""
        ttl = turn.experiment.spec.retention.ttl_seconds_after_finished
        if ttl is None:
            return None
        due = to_retire(written, (seen.view for seen in self._memory.jobs(turn.view.uid)), ttl)
        for failure in await together(self._set_ttl(job, ttl) for job in due[:RETIRED_AT_ONCE]):
            raise failure
        return 0.0 if len(due) > RETIRED_AT_ONCE else None

    async def _set_ttl(self, job: JobView, ttl: int) -> None:
        namespace, name = job.key
        patch = {"spec": {"ttlSecondsAfterFinished": ttl}}
        try:
            self._memory.see(JOBS, await self._kube.patch(JOBS, namespace, name, patch))
        except NotThere:
            return  # it has gone already, and the event that tells so is on its way


async def refresh(kube: Kube, memory: Memory, key: Key) -> None:
    """Read an experiment anew: what memory has of it was refused as stale."""
    try:
        body = await kube.get(EXPERIMENTS, *key)
    except NotThere:
        view = memory.experiment(key)
        if view is not None:
            memory.forget(
                EXPERIMENTS,
                {"metadata": {"namespace": key[0], "name": key[1], "uid": view.uid}},
            )
        return
    memory.see(EXPERIMENTS, body)


def _log(view: ExperimentView, events: Sequence[Event], rounds: dict[str, RoundStatus]) -> None:
    """Every step of the story, a line each."""
    for event in events:
        extra: dict[str, object] = {**_names(view.key)}
        if event.round is not None:
            extra |= {"round": event.round, "attempt": rounds[event.round].attempts}
        level = logging.WARNING if event.kind == "Warning" else logging.INFO
        _LOG.log(level, "%s: %s", event.reason, event.message, extra=extra)


def _names(key: Key) -> dict[str, str]:
    return {"namespace": key[0], "experiment": key[1]}


def _rounds(status: Status | None) -> dict[str, RoundStatus]:
    return recall(status.rounds, status.ledger) if status is not None else {}


def _acts(todo: Todo) -> bool:
    return bool(todo.delete or todo.give_up)


def _is_small(view: ExperimentView, status: Status) -> bool:
    """Whether nobody waits for what is new in the status."""
    old = view.status
    if old is None or view.experiment is None:
        return False
    return (old.phase, old.progress, old.observed_generation) == (
        status.phase,
        status.progress,
        status.observed_generation,
    )


def _soonest(*seconds: float | None) -> float | None:
    return min((one for one in seconds if one is not None), default=None)
