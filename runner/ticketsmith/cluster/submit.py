"""Hand an experiment in: server-side apply, and what changed by it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ticketsmith.cluster.kube import Body, Kube
from ticketsmith.cluster.problems import NotThere
from ticketsmith.cluster.resource import Seen, look
from ticketsmith.experiment.problems import BadSpec


@dataclass(frozen=True, slots=True)
class Submitted:
    """What came of it."""

    seen: Seen
    outcome: Literal["created", "changed", "unchanged"]
    fields: tuple[str, ...] = ()
    """Fields whose value changed, e.g. spec.limits.parallelism."""


def submit(kube: Kube, document: Body, *, dry_run: bool = False) -> Submitted:
    """Apply the document of an experiment; with `dry_run` the API server checks it and keeps nothing.

    Raises:
        BadSpec: the document names another namespace, or the API server refuses it.
        ClusterProblem: the cluster does not answer, or does not allow it.
    """
    body = _to_apply(document)
    named = body["metadata"].get("namespace", kube.namespace)
    if named != kube.namespace:
        raise BadSpec(
            f"metadata.namespace is {named}, but the experiment is to go to namespace {kube.namespace}: remove the "
            f"field, or submit with -n {named}"
        )
    try:
        before = kube.experiment(body["metadata"]["name"])
    except NotThere:
        before = None
    after = kube.apply(body, dry_run=dry_run)
    if before is None:
        return Submitted(look(after), "created")
    fields = tuple(sorted(changed(_own(before), _own(after))))
    return Submitted(look(after), "changed" if fields else "unchanged", fields)


def changed(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Paths of the values that differ between two documents."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in before.keys() | after.keys():
            inner = f"{path}.{name}" if path else str(name)
            yield from changed(before.get(name), after.get(name), inner)
    elif before != after:
        yield path


def _to_apply(document: Body) -> Body:
    """What its author decides: a status, or what a cluster once added to the metadata, stays behind."""
    theirs = {"name", "namespace", "labels", "annotations"}
    metadata = {name: value for name, value in document["metadata"].items() if name in theirs}
    parts = ("apiVersion", "kind", "spec")
    return {**{part: document[part] for part in parts if part in document}, "metadata": metadata}


def _own(body: Body) -> Body:
    """The part of a resource that people write."""
    metadata = body["metadata"]
    names = {name: metadata.get(name) or {} for name in ("labels", "annotations")}
    return {"spec": body["spec"], "metadata": names}
