"""Which experiments there are, and what each needs of a store: from run directories, clusters and files."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ticketsmith import __version__
from ticketsmith.cli.files import read_experiment, read_yaml
from ticketsmith.cli.place import store_uri
from ticketsmith.cli.where import reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.experiment.base import KIND
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.retention import Claims, claim, named_rounds
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Status
from ticketsmith.local.rundir import EXPERIMENT, read_resource, run_directories
from ticketsmith.stores import open_store
from ticketsmith.stores.files import told

_UNREAD = "its spec cannot be read"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where experiments are looked for."""

    runs: Sequence[Path] = ()
    """Folders of run directories."""
    files: Sequence[Path] = ()
    """Resources as `kubectl get pex -o json` prints them."""
    cluster: Wanted | None = None
    everywhere: bool = False
    """Every namespace of that cluster."""


@dataclass(frozen=True, slots=True)
class Living:
    """What the experiments need, and how many there are."""

    claims: Claims
    experiments: int


def claims_of(sources: Sources, store: str) -> Living:
    """What all these experiments need of the store at that address (as a Store's uri gives it).

    Raises:
        BadSpec: One of them cannot be read: nobody knows then what it needs.
        ClusterProblem: The cluster cannot be asked.
    """
    claims, count = Claims(), 0
    for runs in sources.runs:
        for label, experiment in _in_runs(runs):
            uri = store_uri(experiment, _beside(runs))
            _claim(claims, label, experiment, here=open_store(uri).uri == store)
            count += 1
    for label, body in _resources(sources):
        _claim_of_resource(claims, label, body, store)
        count += 1
    return Living(claims, count)


def _in_runs(runs: Path) -> Iterator[tuple[str, PruningExperiment]]:
    for run in run_directories(runs):
        experiment = read_resource(run)
        # A run that is just beginning has its file only.
        yield run.resolve().name, experiment or read_experiment(run / EXPERIMENT)[0]


def _beside(runs: Path) -> Path:
    """The folder that run directories and their store share; `runs` may be a run directory itself."""
    is_run = runs in run_directories(runs)
    return runs.resolve().parent if is_run else runs


def _resources(sources: Sources) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Label and document of every resource on the cluster and in the files."""
    bodies: list[Iterable[Any]] = [_in_file(file) for file in sources.files]
    if sources.cluster is not None:
        bodies.append(reach(sources.cluster).experiments(everywhere=sources.everywhere))
    for body in (one for some in bodies for one in some):
        metadata = body.get("metadata") or {}
        names = [str(metadata[part]) for part in ("namespace", "name") if metadata.get(part)]
        yield "/".join(names), body


def _in_file(file: Path) -> list[Any]:
    """The resources in a file: one, or a List."""
    with told("read", file):
        text = file.read_text(encoding="utf-8", errors="replace")
    try:
        document = json.loads(text)
    except ValueError:
        try:
            document = read_yaml(text)
        except BadSpec as problem:
            raise BadSpec(f"{file}: {problem}") from problem
    bodies = document.get("items", [document]) if isinstance(document, dict) else [document]
    if not all(isinstance(body, dict) and body.get("kind", KIND) == KIND for body in bodies):
        raise BadSpec(
            f"{file} holds more than {KIND}s: write it with `kubectl get pex -A -o json > {file}`"
        )
    return list(bodies)


def _claim_of_resource(claims: Claims, label: str, body: Mapping[str, Any], store: str) -> None:
    text = json.dumps(body)
    try:
        experiment = PruningExperiment.model_validate_json(text)
    except ValidationError as error:
        _claim_of_status(claims, label, body, error)
        return
    # Where it names no store, the operator's own default is meant, which only whoever calls us knows.
    artifacts = experiment.spec.artifacts
    here = artifacts is None or open_store(artifacts.uri).uri == store
    _claim(claims, label, experiment, here=here)


def _claim_of_status(
    claims: Claims, label: str, body: Mapping[str, Any], why: ValidationError
) -> None:
    """What an experiment needs whose spec is wrong, or of another version: all that its status speaks of."""
    try:
        status = Status.model_validate_json(json.dumps(body.get("status") or {}))
        rounds = recall(status.rounds, status.ledger)
    except (ValidationError, ValueError):
        first = why.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSpec(
            f"experiment {label} cannot be read ({where}: {first['msg']}), so nobody knows what it needs: correct it, "
            "or install the ticketsmith that belongs to the cluster's operator"
        ) from why
    claims.add(label, named_rounds(rounds), "everything", _UNREAD)


def _claim(claims: Claims, label: str, experiment: PruningExperiment, *, here: bool) -> None:
    try:
        claim(claims, label, experiment, __version__, here=here)
    except ValueError as error:
        raise BadSpec(
            f"experiment {label} cannot be read ({error}), so nobody knows what it needs: run it again, or remove it"
        ) from error
