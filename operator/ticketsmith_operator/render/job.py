"""From an attempt at a round to the Job that carries it out. Pure: the same attempt is the same manifest."""

from typing import Any, Final

from ticketsmith.experiment.contract import ExitCode
from ticketsmith.experiment.decision import Start
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith_operator.names import CONTAINER, job_name, labels, owner
from ticketsmith_operator.render.pod import pod_spec
from ticketsmith_operator.render.refusal import unrenderable
from ticketsmith_operator.settings import Settings

__all__ = ["QUEUE_LABEL", "render_job", "unrenderable"]

QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
"""Kueue admits the Jobs that carry it."""


def render_job(start: Start, experiment: PruningExperiment, settings: Settings) -> dict[str, Any]:
    """The manifest of one attempt's Job. Ask `unrenderable` first.

    Nothing of the experiment's labels and annotations is passed on: a tool that found its own on a Job would take
    the Job for its own and remove it.

    Raises:
        ValueError: the experiment has no uid, or no artifacts.
    """
    metadata, runner = experiment.metadata, experiment.spec.runner
    if metadata.uid is None:
        raise ValueError(f"experiment {metadata.name} has no uid: it was not read from a cluster")
    identity = (metadata.name, metadata.uid, start.round.name, start.attempt)
    ours = labels(*identity)
    queue = {QUEUE_LABEL: runner.queue_name} if runner.queue_name else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(*identity),
            "namespace": metadata.namespace,
            "labels": ours | queue,
            "ownerReferences": [owner(metadata.name, metadata.uid)],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            # Attempts are counted in the experiment's status, where they survive the Job.
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": _failure_policy(),
            **_deadline(experiment.spec.limits.round_deadline_seconds),
            **({"suspend": True} if queue else {}),
            **({"managedBy": settings.job_managed_by} if settings.job_managed_by else {}),
            "template": {
                "metadata": {"labels": ours},
                "spec": pod_spec(start, experiment.spec, settings.image),
            },
        },
    }


def _failure_policy() -> dict[str, Any]:
    """What the exit codes mean, in the Job's words; a Pod that the cluster took away is replaced, not counted."""
    final = sorted(int(code) for code in ExitCode if ExitCode.is_final(code))
    return {
        "rules": [
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": final},
            },
        ]
    }


def _deadline(seconds: int | None) -> dict[str, int]:
    """Counted by Kubernetes from the Job's startTime, so that waiting in a queue is free but waiting for a node is
    not; an eviction from the queue sets it anew."""
    return {} if seconds is None else {"activeDeadlineSeconds": seconds}
