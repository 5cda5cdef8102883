"""ticketsmith status: how far an experiment is, or how it ended; here or on a cluster."""

from pathlib import Path

from rich.table import Table

from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.where import reach
from ticketsmith.cli.words import duration, percent
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.resource import find
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.local.rundir import read_resource


def show_status(run: Path, form: Form | None) -> None:
    """Print the state of a run directory; BadSpec if it is none."""
    experiment = read_resource(run)
    if experiment is None:
        raise BadSpec(f"{run} is not a run directory: name one that `ticketsmith run` printed")
    if form is not None:
        write(experiment.document(), form)
    else:
        _show(experiment.metadata.name, experiment.status or Status())


def show_status_on_cluster(name: str, wanted: Wanted, form: Form | None) -> None:
    """Print the state of an experiment on a cluster; Problem if it cannot be had."""
    seen = find(reach(wanted), name)
    if form is not None:
        metadata = {k: v for k, v in seen.body["metadata"].items() if k != "managedFields"}
        write({**seen.body, "metadata": metadata}, form)
    else:
        _show(name, seen.status or Status())


def _show(name: str, status: Status) -> None:
    console = people(None)
    say(console, f"{name}: {status.phase}, {status.progress or '0/0'} rounds")
    if status.message:
        say(console, status.message)
    table = Table(
        "round",
        "state",
        "sparsity",
        "accuracy",
        "gate",
        "attempts",
        "time",
        box=None,
        pad_edge=False,
    )
    for known in status.rounds:
        table.add_row(*_row(known))
    say(console, "")
    console.print(table)


def _row(known: RoundStatus) -> tuple[str, ...]:
    accuracy = known.metrics.get("accuracy")
    return (
        known.name,
        known.state,
        "" if known.sparsity is None else percent(known.sparsity),
        "" if accuracy is None else percent(accuracy),
        known.gate or "",
        str(known.attempts),
        duration(known.duration_seconds) if known.duration_seconds else "",
    )
