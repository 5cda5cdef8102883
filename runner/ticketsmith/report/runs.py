"""Read what an experiment left behind: its resource, and each round's documents from the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ticketsmith.experiment.base import Document
from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import (
    BENCHMARK,
    ENVIRONMENT,
    LAYERS,
    METRICS,
    RESULT,
    SAMPLES,
    BenchmarkDetails,
    Environment,
    Evaluation,
    Layers,
)
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store

RESOURCE = "resource.json"
_Kind = TypeVar("_Kind", bound=Document)


@dataclass(frozen=True, slots=True)
class Round:
    """One round as its driver knew it, and what it left in the store; None or empty where that is missing."""

    status: RoundStatus
    result: RoundResult | None = None
    evaluations: tuple[Evaluation, ...] = ()
    layers: Layers | None = None
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """All that a report is made from."""

    label: str
    """Unique among the runs of one report; the run directory's name."""
    experiment: PruningExperiment
    rounds: tuple[Round, ...]
    benchmarks: tuple[BenchmarkDetails, ...] = ()
    samples: Path | None = None
    """Pictures judged by the best ticket, else by a dense network."""
    samples_of: str | None = None
    """The round that judged them."""
    notes: tuple[str, ...] = ()
    """What could not be read, a sentence each."""

    @property
    def status(self) -> Status:
        """The status; an empty one where nothing was started."""
        return self.experiment.status or Status()


def find_runs(prefix: Path) -> list[Path]:
    """Every run directory at or below `prefix`, in order; BadSpec if there is none."""
    found = sorted({path.parent for path in prefix.rglob(RESOURCE)}) if prefix.is_dir() else []
    if not found:
        raise BadSpec(
            f"no run below {str(prefix)!r}: name a folder that holds a run's {RESOURCE}, "
            "as ticketsmith run writes it"
        )
    return found


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Read several run directories; labels are made unique by their parent folders where names repeat."""
    names = [path.resolve().name for path in paths]
    return [
        load_run(path, name if names.count(name) == 1 else f"{path.resolve().parent.name}-{name}")
        for path, name in zip(paths, names, strict=True)
    ]


def load_run(path: Path, label: str | None = None) -> Run:
    """Read one run directory.

    Raises:
        BadSpec: it has no resource.json, or that is damaged, or its store is missing.
    """
    file = path / RESOURCE
    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadSpec(
            f"{str(path)!r} is not a run ({RESOURCE}: {error.strerror}): name a folder that ticketsmith run made"
        ) from error
    try:
        experiment = PruningExperiment.model_validate_json(text)
    except ValidationError as error:
        raise BadSpec(
            f"{file} is damaged or from another version ({_first(error)}): run the experiment again; "
            "finished rounds answer from the store"
        ) from error
    artifacts = experiment.spec.artifacts
    uri = artifacts.uri if artifacts else str(path.resolve().parent / "store")
    store = open_store(uri)
    done = any(known.state == "Done" for known in _known(experiment))
    if done and next(iter(store.keys()), None) is None:
        raise BadSpec(
            f"the artifact store {store.uri} of {str(path)!r} is missing or empty: put it back where the run "
            "left it, or set spec.artifacts.uri to where it is"
        )
    return read_run(experiment, store, label or path.resolve().name)


def read_run(experiment: PruningExperiment, store: Store, label: str) -> Run:
    """Gather the rounds named in the status from `store`. What is missing or damaged becomes a note."""
    reader = _Reader(store)
    rounds = tuple(reader.round(known) for known in _known(experiment))
    benchmarks = tuple(
        found
        for known in rounds
        if known.status.arm == "benchmark" and known.status.key
        if (found := reader.document(known.status, BENCHMARK, BenchmarkDetails))
    )
    samples, judged_by = _samples(experiment, rounds, store)
    return Run(
        label=label,
        experiment=experiment,
        rounds=rounds,
        benchmarks=benchmarks,
        samples=samples,
        samples_of=judged_by,
        notes=tuple(reader.notes),
    )


def status_only(experiment: PruningExperiment, label: str, why: str) -> Run:
    """What the status alone tells, where the artifacts cannot be read: no machine, no versions, no timings."""
    rounds = tuple(Round(known) for known in _known(experiment))
    note = f"Read from its status alone, so machine, versions and timings are unknown: {why.rstrip('.')}."
    return Run(label=label, experiment=experiment, rounds=rounds, notes=(note,))


def _known(experiment: PruningExperiment) -> list[RoundStatus]:
    """Every round the status speaks of, in detail or in its ledger, by name."""
    status = experiment.status or Status()
    try:
        found = recall(status.rounds, status.ledger)
    except ValueError as error:
        raise BadSpec(
            f"experiment {experiment.metadata.name!r}: {error}; run the experiment again, finished rounds "
            "answer from the store"
        ) from error
    return [found[name] for name in sorted(found)]


class _Reader:
    """Reads documents, and keeps a note of each that is damaged."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.notes: list[str] = []

    def round(self, known: RoundStatus) -> Round:
        if known.key is None or known.arm == "report":
            return Round(known)
        result = self.document(known, RESULT, RoundResult)
        if known.state == "Done" and result is None:
            self.notes.append(
                f"{known.name} is done, but its {RESULT} could not be read from the store."
            )
        if known.arm == "benchmark":
            return Round(known, result)
        return Round(
            known,
            result,
            self.evaluations(known),
            self.document(known, LAYERS, Layers),
            self.document(known, ENVIRONMENT, Environment),
        )

    def document(self, known: RoundStatus, name: str, kind: type[_Kind]) -> _Kind | None:
        text = self._text(known, name)
        if text is None:
            return None
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            self.notes.append(f"{name} of {known.name} is damaged and left out ({_first(error)}).")
            return None

    def evaluations(self, known: RoundStatus) -> tuple[Evaluation, ...]:
        lines = (self._text(known, METRICS) or "").splitlines()
        read: list[Evaluation] = []
        for number, line in enumerate(lines, start=1):
            try:
                read.append(Evaluation.model_validate_json(line))
            except ValidationError as error:
                # A round that is being written, or was killed, ends in half a line: nothing is lost by that.
                if number < len(lines) or known.state == "Done":
                    self.notes.append(
                        f"Line {number} of {METRICS} of {known.name} is damaged and left out "
                        f"({_first(error)})."
                    )
        return tuple(read)

    def _text(self, known: RoundStatus, name: str) -> str | None:
        try:
            return self.store.read_text(known.key, name) if known.key else None
        except BadSpec as problem:
            self.notes.append(f"{name} of {known.name} is left out: {problem}.")
            return None


def _samples(
    experiment: PruningExperiment, rounds: Sequence[Round], store: Store
) -> tuple[Path | None, str | None]:
    """The pictures of the best ticket; else of the first dense round that has some."""
    best = experiment.status.best if experiment.status else None
    wanted = [known for known in rounds if best and known.status.name == best.round]
    wanted += [known for known in rounds if known.status.arm == "dense"]
    for known in wanted:
        if known.result and SAMPLES in known.result.files:
            try:
                path = store.fetch(known.result.key, SAMPLES, known.result.files[SAMPLES])
            except BadSpec:
                continue
            return path, known.status.name
    return None, None


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])
