"""The commands. Each imports what it needs when it runs, so that --help answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ticketsmith import __version__
from ticketsmith.benchmark import cli as benchmark
from ticketsmith.cli import history, on_cluster, store_commands
from ticketsmith.cli.arguments import Config, File, Output
from ticketsmith.experiment.problems import BadSpec, Problem

app = typer.Typer(
    name="ticketsmith",
    help="Find out how sparse a network can be before quality drops, and what that really saves here.",
    epilog="Begin with:  ticketsmith init",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

plugin = typer.Typer(
    name=on_cluster.PLUGIN,
    help="Hand experiments to this cluster, watch them, read their rounds' logs and their reports.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Runs = Annotated[
    Path,
    typer.Option("--runs", metavar="DIR", help="Folder of the run directories and of the store."),
]
StoreUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI", help="Artifact store; default: spec.artifacts.uri, else DIR/store."
    ),
]
Price = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT", help="What this machine (or its GPU) costs per hour, e.g. 0.35."
    ),
]
Currency = Annotated[str, typer.Option(metavar="CODE", help="Currency of --price.")]
Parallelism = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Rounds at once; default: limits.parallelism, else one per core (GPU: 1)."
    ),
]


def carry_out(arguments: list[str], program: str = "ticketsmith") -> int:
    """Run one command line; returns the exit code. What a person must put right is told in one line."""
    try:
        (plugin if program == on_cluster.PLUGIN else app)(arguments, prog_name=program)
    except Problem as problem:
        print(f"ticketsmith: {problem}", file=sys.stderr)
        return int(problem.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has gone; Python must not try to flush to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _chosen(file: Path | None, config: Path | None) -> Path:
    if (file is None) == (config is None):
        raise BadSpec("name one experiment file: ticketsmith run FILE (or --config FILE)")
    return file or config or Path()


@app.command(epilog="Example:  ticketsmith run examples/quickstart.yaml --price 0.35")
def run(
    file: File = None,
    config: Config = None,
    runs: Runs = Path("runs"),
    store: StoreUri = None,
    price: Price = None,
    currency: Currency = "USD",
    output: Output = None,
    parallelism: Parallelism = None,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only how it ended.")] = False,
) -> None:
    """Run a whole experiment on this machine: train, prune, rewind, retrain, gate, benchmark, report.

    Stopped by whatever (Ctrl-C, kill -9, power), the same command goes on where it stopped. Exit codes:
    0 succeeded, 1 failed, 2 the input is wrong, 130 stopped by Ctrl-C.
    """
    from ticketsmith.cli.adjust import Changes
    from ticketsmith.cli.run import Options, run

    options = Options(Changes(store, parallelism), runs, price, currency, output, report, quiet)
    raise typer.Exit(run(_chosen(file, config), options))


@app.command(epilog="Example:  ticketsmith train examples/quickstart.yaml")
def train(
    file: File = None,
    config: Config = None,
    runs: Runs = Path("runs"),
    store: StoreUri = None,
    price: Price = None,
    currency: Currency = "USD",
    output: Output = None,
    parallelism: Parallelism = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only how it ended.")] = False,
) -> None:
    """Train an experiment's dense networks only. A later `run` finds them done."""
    from ticketsmith.cli.adjust import Changes
    from ticketsmith.cli.run import Options, run

    changes = Changes(store, parallelism)
    options = Options(changes, runs, price, currency, output, quiet=quiet, dense_only=True)
    raise typer.Exit(run(_chosen(file, config), options))


@app.command(epilog="Example:  ticketsmith plan examples/quickstart.yaml --price 0.35")
def plan(
    file: File = None,
    config: Config = None,
    runs: Runs = Path("runs"),
    store: StoreUri = None,
    price: Price = None,
    currency: Currency = "USD",
    output: Output = None,
    parallelism: Parallelism = None,
    calibrate: Annotated[
        bool, typer.Option(help="Time a few real training steps here to estimate time and cost.")
    ] = True,
) -> None:
    """Show the rounds, how they depend on each other, and what they would take. Starts none of them."""
    from ticketsmith.cli.adjust import Changes
    from ticketsmith.cli.forecast import Options, show_plan

    options = Options(Changes(store, parallelism), runs, price, currency, output, calibrate)
    show_plan(_chosen(file, config), options)


@app.command(epilog="Example:  ticketsmith validate examples/*.yaml")
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Experiment files.")],
) -> None:
    """Check experiment files without running them: fields, model, data, sparsities, gates.

    Exit code 2 if one of them is bad, with a sentence for each that is.
    """
    from ticketsmith.cli.validate import validate

    raise typer.Exit(validate(files))


@app.command(epilog="Example:  ticketsmith init --model conv4 --dataset cifar10 experiment.yaml")
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.")] = Path(
        "experiment.yaml"
    ),
    model: Annotated[str, typer.Option(help="The network.")] = "lenet300",
    dataset: Annotated[str, typer.Option(help="The data set.")] = "digits",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
) -> None:
    """Write a commented experiment file to begin from."""
    from ticketsmith.cli.init import init

    init(file, model, dataset, replace=force)


for one, example in (
    (
        on_cluster.status,
        "status quickstart -n research   ticketsmith status runs/quickstart_1a2b3c4d",
    ),
    (on_cluster.report, "report runs/quickstart_1a2b3c4d --out docs/quickstart"),
    (on_cluster.submit, "submit examples/quickstart.yaml --watch"),
    (on_cluster.logs, "logs quickstart ticket-s0-l03 --follow"),
):
    app.command(epilog=f"Example:  ticketsmith {example}")(one)
    plugin.command()(one)
for name, command, example in (
    ("list", history.list_, "list   ticketsmith list --context lab --context prod -A --sort drop"),
    ("compare", history.compare, "compare runs/a_1a2b3c4d lab/research/b --out comparison.html"),
):
    app.command(name, epilog=f"Example:  ticketsmith {example}")(command)
    plugin.command(name)(command)
app.command(
    "gc",
    epilog="Example:  ticketsmith gc runs/store   ticketsmith gc gs://bucket/prefix --cluster -A --yes",
)(store_commands.gc)
app.command("benchmark")(benchmark.command)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)
