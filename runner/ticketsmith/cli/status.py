"""ticketsmith status: how far a run is, or how it ended."""

from pathlib import Path

from rich.table import Table

from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.words import duration, percent
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
        return
    console = people(None)
    status = experiment.status or Status()
    say(console, f"{experiment.metadata.name}: {status.phase}, {status.progress or '0/0'} rounds")
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
