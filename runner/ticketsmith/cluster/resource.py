"""An experiment as the cluster holds it."""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from ticketsmith.cluster.kube import Body, Kube
from ticketsmith.cluster.problems import ClusterProblem, NotThere
from ticketsmith.experiment.endings import TERMINAL
from ticketsmith.experiment.status import Status, written

_NAMED = 8
"""Experiments named to whoever asked for one that is not there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an experiment. Only its status is read: its spec may be of another version."""

    body: Body
    status: Status | None
    """None until the operator has taken it up."""

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Tells it from a namesake that was deleted."""
        return str(self.body["metadata"]["uid"])

    @property
    def has_ended(self) -> bool:
        """Whether its phase is one that never changes again."""
        return self.status is not None and self.status.phase in TERMINAL


class Unreadable(ClusterProblem):
    """The experiment was written by another version of TicketSmith; asking again does not help."""


def look(body: Body) -> Seen:
    """Read an answer of the API server; Unreadable if its status is not one this version knows."""
    given: dict[str, Any] = body.get("status") or {}
    if not written(given):
        return Seen(body, None)
    try:
        return Seen(body, Status.model_validate_json(json.dumps(given)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            f"the status of {body['metadata']['name']} cannot be read (status.{where}: {first['msg']}): install the "
            "ticketsmith that belongs to the cluster's operator"
        ) from error


def find(kube: Kube, name: str) -> Seen:
    """The experiment; NotThere offers the names that are there."""
    try:
        return look(kube.experiment(name))
    except NotThere as absent:
        raise NotThere(f"{absent}: {_instead(kube, name)}") from absent


def _instead(kube: Kube, name: str) -> str:
    try:
        names = kube.experiment_names()
    except ClusterProblem:
        return "name one that `kubectl get pex` lists"
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if names:
        more = ", ..." if len(names) > _NAMED else ""
        return f"it has {', '.join(names[:_NAMED])}{more}"
    return (
        "it has none at all; name another namespace with -n (`kubectl get pex -A` lists them all)"
    )
