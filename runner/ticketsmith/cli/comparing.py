"""ticketsmith compare: experiments side by side, wherever each of them lies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ticketsmith.cli.afar import address, read_whole
from ticketsmith.cli.columns import columns
from ticketsmith.cli.files import read_experiment
from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.shapes import Shape
from ticketsmith.cli.where import could_name, reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.resource import find
from ticketsmith.experiment.gates import ranking_metric
from ticketsmith.experiment.levels import Measure
from ticketsmith.experiment.problems import BadSpec, Problem
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.local.rundir import RunDirectory, read_resource, run_directories
from ticketsmith.report.runs import Run, load_run, read_run, status_only
from ticketsmith.report.side_by_side.document import document
from ticketsmith.report.side_by_side.document import table as csv_table
from ticketsmith.report.side_by_side.view import View, html, view
from ticketsmith.report.tables import Table
from ticketsmith.stores import open_store
from ticketsmith.stores.files import told, write_text


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the names."""

    runs: Path
    wanted: Wanted
    local: bool | None
    """Whether every name is one here, or one on a cluster; None where each may be either."""
    store: str | None
    measure: Measure | None
    shape: Shape
    out: Path | None


def compare(names: Sequence[str], options: Options) -> None:
    """Print the comparison, and write its page where one is asked for; Problem for what a person must put right."""
    found: dict[str, Run] = {}
    for name in names:
        reference, run = _resolve(name, options)
        if reference in found:
            raise BadSpec(f"{reference} is named twice: name each experiment once")
        found[reference] = run
    shown = view(list(_labelled(found).items()), options.measure or _measure(found.values()))
    if options.out is not None:
        with told("write the comparison to", options.out):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.out, html(shown))
    match options.shape:
        case Shape.JSON:
            write(document(shown), Form.JSON)
        case Shape.CSV:
            print(csv_table(shown), end="")
        case Shape.TABLE:
            _print(people(None), shown)
    if options.out is not None:
        say(
            people(None if options.shape is Shape.TABLE else Form.JSON),
            f"Comparison: {options.out}",
        )


# --- finding them --------------------------------------------------------------------------------
def _resolve(name: str, options: Options) -> tuple[str, Run]:
    """The experiment that is meant, and what to call it again."""
    path = Path(name)
    if options.local is not False:
        if path.is_dir():
            return name, _here(path)
        if path.is_file():
            return _of_file(path, options.runs)
        named = _by_name(name, options.runs)
        if named is not None:
            return str(named), _here(named)
    if options.local or not all(map(could_name, name.split("/")[-2:])):
        raise BadSpec(
            f"{name} is no run directory, no experiment file and not the name of a run in {options.runs}: `ticketsmith "
            "list` shows what there is"
        )
    return _on_cluster(name, options)


def _of_file(file: Path, runs: Path) -> tuple[str, Run]:
    run = RunDirectory(runs, read_experiment(file)[0]).path
    if not run.is_dir():
        raise BadSpec(
            f"{file} was not run in {runs}: run it with `ticketsmith run {file}`, or name its folder with --runs"
        )
    return str(run), _here(run)


def _by_name(name: str, runs: Path) -> Path | None:
    """The run of that name, of which there must be one."""
    of_name = [
        path
        for path in (run_directories(runs) if runs.is_dir() else [])
        if path.name.rpartition("_")[0] == name
    ]
    if len(of_name) > 1:
        raise BadSpec(f"{name} is the name of {len(of_name)} runs: name one of {_listed(of_name)}")
    return of_name[0] if of_name else None


def _here(path: Path) -> Run:
    experiment = read_resource(path)
    if experiment is None:
        raise BadSpec(f"{path} is not a run directory: name one that `ticketsmith run` printed")
    try:
        return load_run(path)
    except Problem as problem:
        return status_only(experiment, path.resolve().name, str(problem))


def _on_cluster(name: str, options: Options) -> tuple[str, Run]:
    """[[CONTEXT/]NAMESPACE/]NAME; contexts may hold slashes themselves."""
    *place, plain = name.rsplit("/", 2)
    namespace = place[-1] if place else options.wanted.namespace
    context = place[0] if len(place) > 1 else options.wanted.context
    try:
        kube = reach(replace(options.wanted, namespace=namespace, context=context))
        experiment = read_whole(find(kube, plain))
    except Problem as problem:
        if options.local is False or place:
            raise
        raise BadSpec(f"{name} is not a run in {options.runs}, and {problem}") from problem
    parts = [kube.context, kube.namespace, plain]
    reference = "/".join(part for part in parts if part)
    return reference, _with_artifacts(experiment, reference, kube.namespace, options.store)


def _with_artifacts(
    experiment: PruningExperiment, reference: str, namespace: str, uri: str | None
) -> Run:
    """With what its rounds left, where that can be read from here."""
    try:
        store = open_store(uri or address(experiment, namespace))
        run = read_run(experiment, store, reference)
    except Problem as problem:
        return status_only(experiment, reference, str(problem))
    if not any(known.result for known in run.rounds):
        return status_only(experiment, reference, f"none of its artifacts are in {store.uri}")
    return run


def _labelled(found: dict[str, Run]) -> dict[str, Run]:
    """Called by their names where that tells them apart."""
    names = [run.experiment.metadata.name for run in found.values()]
    return {
        reference: replace(run, label=name if names.count(name) == 1 else run.label)
        for (reference, run), name in zip(found.items(), names, strict=True)
    }


def _measure(runs: Iterable[Run]) -> Measure:
    """What all of them rank their tickets by, else accuracy."""
    ranked = {ranking_metric(run.experiment.spec.gates) for run in runs}
    return ranked.pop() if len(ranked) == 1 else "accuracy"


# --- telling -------------------------------------------------------------------------------------
def _print(console: Console, shown: View) -> None:
    say(console, shown.headline, *(f"- {sentence}" for sentence in shown.findings))
    if shown.cautions:
        say(console, "", "Before you rely on this:", *(f"- {one}" for one in shown.cautions))
    for table in shown.tables:
        say(console, "", f"{table.title}:")
        if table.rows:
            say(console, *_lines(table))
        if table.note:
            say(console, table.note)


def _lines(table: Table) -> list[str]:
    rows = [[cell.replace("\n", " ") for cell in row] for row in table.rows]
    right = frozenset(range(len(table.head))) - table.words
    return columns(table.head, rows, right)


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
