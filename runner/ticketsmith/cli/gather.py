"""Find experiments, in folders of runs here and on clusters. What cannot be read is told, and stops nothing else."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ticketsmith.cli.entry import Entry, level_of
from ticketsmith.cli.where import reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.kube import Body, Kube
from ticketsmith.cluster.resource import look
from ticketsmith.experiment.gates import ranking_metric
from ticketsmith.experiment.levels import Level, Measure
from ticketsmith.experiment.problems import BadSpec, Problem
from ticketsmith.experiment.status import Status
from ticketsmith.local.rundir import RESOURCE, is_driven, read_resource, run_directories

_AT_ONCE = 8
"""Clusters asked at the same time: one that does not answer keeps nobody waiting but itself."""


@dataclass(slots=True)
class Found:
    """Experiments, and what stood in the way of others."""

    entries: list[Entry] = field(default_factory=list)
    damaged: list[Problem] = field(default_factory=list)
    """Single experiments that could not be read."""
    silent: list[Problem] = field(default_factory=list)
    """Whole places that could not be asked."""

    def add(self, other: "Found") -> None:
        self.entries += other.entries
        self.damaged += other.damaged
        self.silent += other.silent


def here(runs: Path) -> Found:
    """The runs in a folder."""
    found = Found()
    with _noted(found.silent):
        for path in run_directories(runs):
            with _noted(found.damaged):
                found.entries.append(_run(path))
    return found


def on_clusters(wanted: Sequence[Wanted], *, everywhere: bool) -> Found:
    """The experiments of these namespaces, or with `everywhere` of every namespace of their clusters."""
    found = Found()
    reached: list[Kube] = []
    for one in wanted:
        with _noted(found.silent):
            reached.append(reach(one))
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        for part in workers.map(lambda kube: _on_cluster(kube, everywhere=everywhere), reached):
            found.add(part)
    return found


def distinct(entries: Iterable[Entry]) -> list[Entry]:
    """Each once, where two contexts or folders name the same place."""
    return list({entry.reference: entry for entry in entries}.values())


@contextmanager
def _noted(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        problems.append(problem)


def _run(path: Path) -> Entry:
    experiment = read_resource(path)
    if experiment is None:
        raise BadSpec(
            f"{path} has no {RESOURCE}: run the experiment again, or remove the folder; finished rounds answer from "
            "the store"
        )
    status = experiment.status or Status()
    begun = status.started_at
    created = (
        datetime.fromisoformat(begun)
        if begun
        else datetime.fromtimestamp((path / RESOURCE).stat().st_mtime, UTC)
    )
    measure = ranking_metric(experiment.spec.gates)
    return Entry(
        name=experiment.metadata.name,
        where=str(path),
        reference=str(path),
        model=experiment.spec.model.name,
        dataset=experiment.spec.dataset.name,
        measure=measure,
        status=status,
        created=created,
        level=_level(str(path), status, measure),
        driven=is_driven(path),
    )


def _on_cluster(kube: Kube, *, everywhere: bool) -> Found:
    found = Found()
    with _noted(found.silent):
        for body in kube.experiments(everywhere=everywhere):
            with _noted(found.damaged):
                found.entries.append(_resource(kube, body))
    return found


def _resource(kube: Kube, body: Body) -> Entry:
    """Only what a list shows is read of the spec: it may be of another version."""
    metadata, spec = body["metadata"], body["spec"]
    gates = spec.get("gates") or [{}]
    measure: Measure = "loss" if gates[0].get("metric") == "loss" else "accuracy"
    status = look(body).status or Status()
    place = [*([kube.context] if kube.context else []), str(metadata["namespace"])]
    reference = "/".join([*place, str(metadata["name"])])
    return Entry(
        name=str(metadata["name"]),
        where="/".join(place),
        reference=reference,
        model=str(spec["model"]["name"]),
        dataset=str((spec.get("dataset") or {}).get("name", "digits")),
        measure=measure,
        status=status,
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        level=_level(reference, status, measure),
    )


def _level(reference: str, status: Status, measure: Measure) -> Level | None:
    try:
        return level_of(status, measure)
    except ValueError as error:
        raise BadSpec(f"{reference} cannot be read: {error}") from error
