"""What is kept of a Job, a Pod and an experiment: the few fields that decisions need, not the objects. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Status, written
from ticketsmith.experiment.trust import trusted
from ticketsmith_operator.kube.base import Body
from ticketsmith_operator.names import (
    ATTEMPT_LABEL,
    CONTAINER,
    GIVEN_UP,
    ROUND_LABEL,
    UID_LABEL,
    VOID,
)

Key = tuple[str, str]
"""Namespace and name."""
_STUCK = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
"""Why a container does not start, where waiting seldom helps."""
_OWNED_BY_OTHERS = ("labels", "annotations", "finalizers", "ownerReferences")
_JOB_LABELS = ("batch.kubernetes.io/job-name", "job-name")


@dataclass(frozen=True, slots=True)
class JobView:
    """One attempt's Job."""

    key: Key
    uid: str
    version: int
    experiment_uid: str
    round: str
    attempt: int
    outcome: Literal["complete", "failed"] | None
    """Its last word; None while it goes on."""
    reason: str
    """Why it failed, in Kubernetes' word."""
    message: str
    """Message of the condition that ended it."""
    started_at: float | None
    """Unix time; None while it is suspended."""
    finished_at: float | None
    suspended: bool
    deleting: bool
    managed: bool
    """Another controller carries it out; it has no Pods here."""
    given_up: str | None
    """Why the operator had it ended."""
    deadline: int | None
    """Its activeDeadlineSeconds."""
    ttl: int | None
    """Its ttlSecondsAfterFinished."""
    void: bool
    """A placeholder: the attempt's real Job was never made, or is gone, and cannot be made any more."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One Pod of a Job, and its round's container."""

    key: Key
    uid: str
    version: int
    job: str
    """Name of its Job."""
    phase: str
    reason: str
    """Why it failed as a whole, e.g. Evicted."""
    message: str
    """Why it failed, or why it cannot be placed."""
    deleting: bool
    waiting: str
    """Why its container does not start, e.g. ImagePullBackOff."""
    waiting_message: str
    running: bool
    started_at: float | None
    """Unix time by the node's clock."""
    finished_at: float | None
    exit_code: int | None
    """None while its container has not ended."""
    ended_by: str
    """Kubernetes' word for the container's end, e.g. OOMKilled."""
    answer: str
    """Termination message."""

    @property
    def is_stuck(self) -> bool:
        """Whether its container cannot start as things are."""
        return self.waiting in _STUCK


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """One resource as last seen or written."""

    key: Key
    uid: str
    version: int
    generation: int
    deleting: bool
    experiment: PruningExperiment | None
    """None if its spec cannot be read."""
    problem: str | None
    """Why not, in one sentence."""
    status: Status | None
    """None if there is none yet, or if it cannot be read: then it is found anew from the Jobs."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What others own of it. A write of the status changes none of it, but whoever owns a label that the write leaves
    out is its owner no more, and cannot remove it later."""


def experiment_view(body: Body, known: ExperimentView | None = None) -> ExperimentView:
    """What the resource says; its spec is taken from `known` where it is of the same generation."""
    metadata = body["metadata"]
    generation = int(metadata.get("generation", 1))
    status = _status(body.get("status"))
    if known is not None and (known.uid, known.generation) == (metadata["uid"], generation):
        experiment, problem = known.experiment, known.problem
    else:
        experiment, problem = _experiment(body)
    if experiment is not None:
        status = status and trusted(status, experiment.spec)
        experiment = experiment.model_copy(update={"status": status})
    return ExperimentView(
        key=_key(metadata),
        uid=metadata["uid"],
        version=_version(metadata),
        generation=generation,
        deleting="deletionTimestamp" in metadata,
        experiment=experiment,
        problem=problem,
        status=status,
        metadata={name: metadata[name] for name in _OWNED_BY_OTHERS if name in metadata},
    )


def job_view(body: Body) -> JobView | None:
    """What the Job says; None if it is not one of ours."""
    metadata, spec, status = body["metadata"], body.get("spec", {}), body.get("status", {})
    labels = metadata.get("labels") or {}
    attempt = str(labels.get(ATTEMPT_LABEL, ""))
    if not attempt.isdecimal() or ROUND_LABEL not in labels or UID_LABEL not in labels:
        return None
    complete, failed = _condition(status, "Complete"), _condition(status, "Failed")
    last = complete or failed or {}
    finished = status.get("completionTime") or last.get("lastTransitionTime")
    return JobView(
        key=_key(metadata),
        uid=metadata["uid"],
        version=_version(metadata),
        experiment_uid=labels[UID_LABEL],
        round=labels[ROUND_LABEL],
        attempt=int(attempt),
        outcome="complete" if complete else "failed" if failed else None,
        reason=last.get("reason", ""),
        message=last.get("message", ""),
        started_at=_moment(status.get("startTime")),
        finished_at=_moment(finished) if last else None,
        suspended=bool(spec.get("suspend")),
        deleting="deletionTimestamp" in metadata,
        managed=spec.get("managedBy") not in (None, "kubernetes.io/job-controller"),
        given_up=(metadata.get("annotations") or {}).get(GIVEN_UP),
        deadline=spec.get("activeDeadlineSeconds"),
        ttl=spec.get("ttlSecondsAfterFinished"),
        void=VOID in (metadata.get("annotations") or {}),
    )


def pod_view(body: Body) -> PodView | None:
    """What the Pod says; None if it belongs to no Job."""
    metadata, status = body["metadata"], body.get("status", {})
    labels = metadata.get("labels") or {}
    job = next((labels[name] for name in _JOB_LABELS if name in labels), None)
    if job is None:
        return None
    found = _named(status.get("containerStatuses") or (), CONTAINER)
    state = found.get("state") or {}
    ended, runs, waits = (state.get(word) or {} for word in ("terminated", "running", "waiting"))
    placed = _condition(status, "PodScheduled", "False") or {}
    return PodView(
        key=_key(metadata),
        uid=metadata["uid"],
        version=_version(metadata),
        job=job,
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message") or placed.get("message", ""),
        deleting="deletionTimestamp" in metadata,
        waiting=waits.get("reason", ""),
        waiting_message=waits.get("message", ""),
        running=bool(runs),
        started_at=_moment(ended.get("startedAt") or runs.get("startedAt")),
        finished_at=_moment(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        ended_by=ended.get("reason", ""),
        answer=ended.get("message", ""),
    )


def _experiment(body: Body) -> tuple[PruningExperiment | None, str | None]:
    document = {name: part for name, part in body.items() if name != "status"}
    try:
        return parse_experiment(document), None
    except BadSpec as problem:
        return None, str(problem)


def _status(document: object) -> Status | None:
    if not written(document):
        return None
    try:
        return Status.model_validate(document)
    except ValidationError:
        return None


def _key(metadata: Mapping[str, Any]) -> Key:
    return metadata["namespace"], metadata["name"]


def _version(metadata: Mapping[str, Any]) -> int:
    # Comparing versions is sanctioned since Kubernetes 1.35, and was true of etcd's all along.
    return int(metadata["resourceVersion"])


def _condition(
    status: Mapping[str, Any], kind: str, value: str = "True"
) -> Mapping[str, Any] | None:
    for one in status.get("conditions") or ():
        if one.get("type") == kind and one.get("status") == value:
            found: Mapping[str, Any] = one
            return found
    return None


def _named(items: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((item for item in items if item.get("name") == name), {})


def _moment(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
