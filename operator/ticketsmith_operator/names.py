"""Names and labels of what the operator makes. Every Job of an attempt has one name, known before it exists."""

from typing import Final

from ticketsmith.experiment.base import API_VERSION, KIND, fingerprint
from ticketsmith.experiment.labels import ATTEMPT_LABEL as ATTEMPT_LABEL
from ticketsmith.experiment.labels import CONTAINER as CONTAINER
from ticketsmith.experiment.labels import EXPERIMENT_LABEL as EXPERIMENT_LABEL
from ticketsmith.experiment.labels import GROUP as GROUP
from ticketsmith.experiment.labels import PLURAL as PLURAL
from ticketsmith.experiment.labels import ROUND_LABEL as ROUND_LABEL
from ticketsmith.experiment.labels import UID_LABEL as UID_LABEL
from ticketsmith.experiment.labels import VERSION as VERSION

GIVEN_UP: Final = f"{GROUP}/given-up"
"""Annotation of a Job that can never start: why, in one sentence."""
VOID: Final = f"{GROUP}/void"
"""Annotation of a placeholder that stands where an attempt's Job is missing, so that it cannot appear later."""
MANAGER: Final = "ticketsmith"
"""Field manager of what the operator writes, and its name among the reporters of Events."""

_LONGEST: Final = 63
"""Characters of a Job's name: it becomes a label of its Pods."""


def job_name(experiment: str, uid: str, round_name: str, attempt: int) -> str:
    """Name of the Job of one attempt: readable, unique by the experiment's uid, at most 63 characters."""
    ending = f"-{round_name}-{attempt}-{fingerprint([uid, round_name, attempt], digits=6)}"
    return experiment[: _LONGEST - len(ending)].rstrip("-") + ending


def owner(name: str, uid: str) -> dict[str, object]:
    """The owner reference to an experiment: with it goes what it owns."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels(experiment: str, uid: str, round_name: str, attempt: int) -> dict[str, str]:
    """Labels of a Job and of its Pods."""
    return {
        "app.kubernetes.io/name": "ticketsmith-round",
        "app.kubernetes.io/managed-by": MANAGER,
        EXPERIMENT_LABEL: experiment,
        UID_LABEL: uid,
        ROUND_LABEL: round_name,
        ATTEMPT_LABEL: str(attempt),
    }
