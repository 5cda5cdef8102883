"""ticketsmith run and train: carry an experiment through and say what came of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ticketsmith.cli.adjust import Changes, adjusted, read_price
from ticketsmith.cli.files import read_experiment
from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.place import prices_here, store_uri
from ticketsmith.cli.plain import share
from ticketsmith.cli.verdict import exit_code, verdict
from ticketsmith.cli.views import watching
from ticketsmith.cli.words import plural
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.view import View
from ticketsmith.local import tasks
from ticketsmith.local.children import call
from ticketsmith.local.continuation import is_answered, status_to_go_on_from
from ticketsmith.local.dense_only import plan_dense_only
from ticketsmith.local.driver import Driver
from ticketsmith.local.interrupt import Interrupt
from ticketsmith.local.machine import Machine
from ticketsmith.local.reporting import place_report
from ticketsmith.local.rundir import RunDirectory
from ticketsmith.local.silent import SilentView
from ticketsmith.round import run_round
from ticketsmith.stores import open_store


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the file."""

    changes: Changes
    runs: Path = Path("runs")
    price: str | None = None
    currency: str = "USD"
    form: Form | None = None
    report: bool = True
    quiet: bool = False
    dense_only: bool = False


def run(file: Path, options: Options) -> int:
    """Run the experiment in `file`; returns the exit code. Problem for anything a person must put right."""
    price = read_price(options.price)
    given, text = read_experiment(file)
    experiment = adjusted(given, options.changes)
    if options.dense_only:
        experiment = _named(experiment, f"{experiment.metadata.name[:57]}-dense")
    directory = RunDirectory(options.runs, experiment)
    console = people(options.form)
    stored = directory.read()
    if stored is not None and is_answered(stored, experiment.spec):
        stored = _with_retention(stored, experiment, directory)
        if not options.quiet:
            _introduce(console, directory, "Answered from disk: this experiment has been run.")
        return _conclude(stored, directory, options, console)

    with console.status("Starting ...") if console.is_terminal else nullcontext():
        machine = call(tasks.preflight, experiment.spec)
    store = open_store(store_uri(experiment, options.runs), writable=True).uri
    interrupt = Interrupt()
    with directory.locked():
        stored = directory.read()
        status = status_to_go_on_from(stored)
        directory.keep_experiment(text)
        if not options.quiet:
            _introduce(console, directory, *_circumstances(machine, experiment, status))
        with interrupt.listening(), _view(console, options) as view:
            finished = Driver(
                run=directory,
                store=store,
                machine=machine,
                prices=prices_here(price, options.currency, machine, experiment),
                view=view,
                execute=run_round,
                decide=plan_dense_only if options.dense_only else plan,
                interrupt=interrupt,
            ).drive(experiment.model_copy(update={"status": status}))
    if interrupt.received and _phase(finished) == "Suspended":
        return _stopped(finished, options, console, interrupt)
    return _conclude(finished, directory, options, console)


def _with_retention(
    stored: PruningExperiment, asked: PruningExperiment, directory: RunDirectory
) -> PruningExperiment:
    """The run as it ended, with what is asked to be kept of it: that may change afterwards."""
    if stored.spec.retention == asked.spec.retention:
        return stored
    spec = stored.spec.model_copy(update={"retention": asked.spec.retention})
    changed = stored.model_copy(update={"spec": spec})
    with directory.locked():
        directory.write(changed)
    return changed


def _named(experiment: PruningExperiment, name: str) -> PruningExperiment:
    metadata = experiment.metadata.model_copy(update={"name": name})
    return experiment.model_copy(update={"metadata": metadata})


def _introduce(console: Console, directory: RunDirectory, *lines: str) -> None:
    say(console, f"Initialized Run: {directory.path}", f"Config Hash: {directory.config_hash}")
    say(console, *lines, "")


def _circumstances(
    machine: Machine, experiment: PruningExperiment, status: Status | None
) -> Iterator[str]:
    places = experiment.spec.limits.parallelism or machine.capacity
    threads = plural(machine.threads(places), "thread")
    yield f"Device: {machine.device}; {plural(places, 'round')} at once, {threads} each"
    if status is not None:
        settled, planned = share(status)
        yield f"Going on where it stopped: {settled} of {planned} rounds are settled."


def _view(console: Console, options: Options) -> AbstractContextManager[View]:
    return nullcontext(SilentView()) if options.quiet else watching(console)


def _stopped(
    experiment: PruningExperiment, options: Options, console: Console, interrupt: Interrupt
) -> int:
    settled, planned = share(experiment.status or Status())
    say(
        console,
        f"Stopped by {interrupt.received[0].name} with {settled} of {planned} rounds settled; "
        "the same command goes on from here.",
    )
    if options.form is not None:
        write(experiment.document(), options.form)
    return interrupt.exit_code


def _conclude(
    experiment: PruningExperiment, directory: RunDirectory, options: Options, console: Console
) -> int:
    """Name the artifacts, write the report, say the verdict."""
    status = experiment.status or Status()
    won = any(known.state == "Done" for known in status.rounds)
    if won and status.phase == "Succeeded" and not options.quiet:
        say(console, f"Training complete. Artifacts saved to {directory.path}/")
    if won and options.report and not options.dense_only:
        say(console, "")
        _report(experiment, directory, options, console)
    say(console, "", verdict(status))
    if options.form is not None:
        write(experiment.document(), options.form)
    return exit_code(status)


def _report(
    experiment: PruningExperiment, directory: RunDirectory, options: Options, console: Console
) -> None:
    store = open_store(store_uri(experiment, options.runs))
    page = place_report(directory, experiment, store)
    for words, path in (
        ("Executive Report generated", page.with_name("executive_summary.md")),
        ("Quality Plot", page.with_name("report_plot.png")),
        ("Full Report", page),
    ):
        if path.exists():
            say(console, f"{words}: {path}")


def _phase(experiment: PruningExperiment) -> str:
    return experiment.status.phase if experiment.status else "Pending"
