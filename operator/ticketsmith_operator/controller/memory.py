"""What the operator remembers of the cluster: kept by events, put right by lists, and always allowed to be stale."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ticketsmith_operator.controller.views import (
    ExperimentView,
    JobView,
    Key,
    PodView,
    experiment_view,
    job_view,
    pod_view,
)
from ticketsmith_operator.kube.base import EXPERIMENTS, JOBS, Body, Resource

View = TypeVar("View", JobView, PodView)


@dataclass(frozen=True, slots=True)
class Sighting(Generic[View]):
    """A Job or Pod, and when its turns were first seen, by this operator's own clock: nodes' clocks may be off."""

    view: View
    running_since: float | None = None
    stuck_since: float | None = None
    """When its container was first seen unable to start."""
    ended_at: float | None = None


class Memory:
    """Experiments, Jobs and Pods by what they belong to. `see` and `forget` answer whose turn that makes it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._experiments: dict[Key, ExperimentView] = {}
        self._keys: dict[str, Key] = {}
        """Keys of experiments by their uid."""
        self._jobs: dict[str, dict[Key, Sighting[JobView]]] = {}
        """By the uid of their experiment."""
        self._owners: dict[Key, str] = {}
        """Uid of the experiment, by the Job's key."""
        self._pods: dict[Key, dict[str, Sighting[PodView]]] = {}
        """By the key of their Job, then by their own uid."""
        self._pod_jobs: dict[str, Key] = {}
        """Key of the Job, by the Pod's uid."""
        self._buried: set[str] = set()
        """Uids deleted since the last list began: a list that was made before must not bring them back."""

    # --- reading ---------------------------------------------------------------------------------
    def experiments(self) -> Collection[ExperimentView]:
        return self._experiments.values()

    def experiment(self, key: Key) -> ExperimentView | None:
        return self._experiments.get(key)

    def jobs(self, uid: str) -> list[Sighting[JobView]]:
        """Jobs of the experiment with this uid."""
        return list(self._jobs.get(uid, {}).values())

    def job(self, key: Key) -> Sighting[JobView] | None:
        return self._jobs.get(self._owners.get(key, ""), {}).get(key)

    def pods(self, job: Key) -> list[Sighting[PodView]]:
        """Pods of a Job, those that ended and went included."""
        return list(self._pods.get(job, {}).values())

    # --- what events, lists and answers to writes tell -------------------------------------------
    def see(self, what: Resource, body: Body) -> Key | None:
        """Take in an object; the experiment whose turn it is, None if nothing new was learned."""
        if body["metadata"]["uid"] in self._buried:
            return None
        if what == EXPERIMENTS:
            return self._see_experiment(body)
        if what == JOBS:
            return self._see_job(body)
        return self._see_pod(body)

    def forget(self, what: Resource, body: Body) -> Key | None:
        """Take in that an object is gone; the experiment whose turn it is."""
        metadata = body["metadata"]
        key, uid = (metadata["namespace"], metadata["name"]), metadata["uid"]
        self._buried.add(uid)
        if what == EXPERIMENTS:
            return self._forget_experiment(key, uid)
        if what == JOBS:
            return self._forget_job(key, uid)
        # Its last state is told with its deletion, and may be all that is ever heard of its answer.
        self._see_pod(body)
        return self._forget_pod(uid)

    def write(self, view: ExperimentView) -> None:
        """Take in what was written: the next decision must not be made on what stood there before."""
        known = self._experiments.get(view.key)
        if known is None or (known.uid == view.uid and known.version < view.version):
            self._put(view)

    def begin_list(self) -> None:
        """A list is about to be asked for."""
        self._buried.clear()

    def end_list(
        self, what: Resource, namespace: str | None, listed: Collection[str], version: int
    ) -> Iterator[Key]:
        """Forget what the finished list (its uids and version) would name if it were still there."""
        gone = [
            (key, uid)
            for key, uid, seen in self._known(what)
            if uid not in listed and seen <= version and namespace in (None, key[0])
        ]
        for key, uid in gone:
            if what == EXPERIMENTS:
                turn = self._forget_experiment(key, uid)
            elif what == JOBS:
                turn = self._forget_job(key, uid)
            else:
                turn = self._forget_pod(uid)
            if turn is not None:
                yield turn

    def _known(self, what: Resource) -> list[tuple[Key, str, int]]:
        """Key, uid and version of everything remembered of one kind."""
        if what == EXPERIMENTS:
            return [(e.key, e.uid, e.version) for e in self._experiments.values()]
        kept = self._jobs if what == JOBS else self._pods
        return [
            (seen.view.key, seen.view.uid, seen.view.version)
            for group in kept.values()
            for seen in group.values()
        ]

    # --- experiments -----------------------------------------------------------------------------
    def _see_experiment(self, body: Body) -> Key | None:
        metadata = body["metadata"]
        known = self._experiments.get((metadata["namespace"], metadata["name"]))
        if known is not None and known.version >= int(metadata["resourceVersion"]):
            return None
        view = experiment_view(body, known)
        self._put(view)
        return view.key

    def _put(self, view: ExperimentView) -> None:
        known = self._experiments.get(view.key)
        if known is not None and known.uid != view.uid:
            self._forget_experiment(known.key, known.uid)
        self._experiments[view.key] = view
        self._keys[view.uid] = view.key

    def _forget_experiment(self, key: Key, uid: str) -> Key | None:
        known = self._experiments.get(key)
        if known is None or known.uid != uid:
            return None
        del self._experiments[key]
        del self._keys[uid]
        return key

    # --- Jobs ------------------------------------------------------------------------------------
    def _see_job(self, body: Body) -> Key | None:
        view = job_view(body)
        if view is None:
            return None
        jobs = self._jobs.setdefault(view.experiment_uid, {})
        known = jobs.get(view.key)
        if known is not None and known.view.version >= view.version:
            return None
        if known is None or known.view.uid != view.uid:
            known = Sighting(view)
        now = self._now()
        begun = view.started_at is not None and not view.suspended
        jobs[view.key] = replace(
            known,
            view=view,
            running_since=_first(known.running_since, begun, now),
            ended_at=_first(known.ended_at, view.outcome is not None, now),
        )
        self._owners[view.key] = view.experiment_uid
        return self._keys.get(view.experiment_uid)

    def _forget_job(self, key: Key, uid: str) -> Key | None:
        owner = self._owners.get(key, "")
        jobs = self._jobs.get(owner, {})
        known = jobs.get(key)
        if known is None or known.view.uid != uid:
            return None
        del jobs[key], self._owners[key]
        for pod in self._pods.pop(key, {}):
            del self._pod_jobs[pod]
        if not jobs:
            del self._jobs[owner]
        return self._keys.get(owner)

    # --- Pods ------------------------------------------------------------------------------------
    def _see_pod(self, body: Body) -> Key | None:
        view = pod_view(body)
        if view is None:
            return None
        job = (view.key[0], view.job)
        pods = self._pods.setdefault(job, {})
        known = pods.get(view.uid)
        if known is not None and known.view.version >= view.version:
            return None
        known = known or Sighting(view)
        now = self._now()
        stuck = _first(known.stuck_since, True, now) if view.is_stuck else None
        self._pod_jobs[view.uid] = job
        pods[view.uid] = replace(
            known,
            view=view,
            running_since=_first(known.running_since, view.running, now),
            stuck_since=stuck,
            ended_at=_first(known.ended_at, view.exit_code is not None, now),
        )
        return self._keys.get(self._owners.get(job, ""))

    def _forget_pod(self, uid: str) -> Key | None:
        job = self._pod_jobs.get(uid)
        if job is None:
            return None
        owner = self._owners.get(job)
        pods = self._pods[job]
        # What ended stays until its Job goes: the answer is in it.
        if pods[uid].view.exit_code is None or owner is None:
            del pods[uid], self._pod_jobs[uid]
        if not pods:
            del self._pods[job]
        return self._keys.get(owner or "")


def _first(known: float | None, is_so: bool, now: float) -> float | None:
    """The first time that something was seen to be so."""
    return now if known is None and is_so else known
