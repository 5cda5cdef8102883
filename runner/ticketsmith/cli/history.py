"""The commands that look back over many experiments, for `ticketsmith` and for `kubectl ticketsmith`."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from ticketsmith.cli.arguments import Context, Kubeconfig, Local, Namespace
from ticketsmith.cli.on_cluster import is_plugin
from ticketsmith.cli.shapes import ListShape, Order, Shape
from ticketsmith.experiment.levels import MEASURES, Measure
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.status import Phase

Contexts = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context; may be given several times. Default: the kubeconfig's.",
        show_default=False,
    ),
]
EveryNamespace = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Every namespace of the clusters.")
]


def list_(
    ctx: typer.Context,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs",
            metavar="DIR",
            help="Folder of run directories; may be given several times. Default: runs.",
            show_default=False,
        ),
    ] = None,
    local: Annotated[
        bool | None,
        typer.Option("--local/--no-local", help="List runs here; the default.", show_default=False),
    ] = None,
    cluster: Annotated[
        bool | None,
        typer.Option(
            "--cluster/--no-cluster",
            help="List experiments on clusters; the default where one of the options below is given.",
            show_default=False,
        ),
    ] = None,
    namespace: Namespace = None,
    everywhere: EveryNamespace = False,
    contexts: Contexts = None,
    kubeconfig: Kubeconfig = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHASE",
            help=f"Only these: {', '.join(get_args(Phase))}; may be given several times.",
            show_default=False,
        ),
    ] = None,
    order: Annotated[Order, typer.Option("--sort", help="What comes first.")] = Order.AGE,
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    output: Annotated[
        ListShape,
        typer.Option("-o", "--output", help="wide adds columns; the others are for programs."),
    ] = ListShape.TABLE,
) -> None:
    """List experiments, the newest first: run directories here, and experiments on clusters.

    QUALITY and DROP are means over the seeds at the level the experiment stands for, DROP in percentage points
    against the same seeds' dense networks; SEEDS counts those that passed there. What cannot be read is named on
    standard error. Exit codes: 0; 2 or 3 if a folder or a cluster could not be asked, with all others listed.
    """
    from ticketsmith.cli.listing import Options, show_list
    from ticketsmith.cluster.connect import Wanted

    if namespace is not None and everywhere:
        raise BadSpec(
            f"--all-namespaces and -n {namespace} contradict each other: give one of them"
        )
    of_cluster = bool(namespace or everywhere or contexts or kubeconfig)
    plugin = is_plugin(ctx)
    asks = (of_cluster or plugin) if cluster is None else cluster
    looks = (bool(runs) or not plugin) if local is None else local
    named: list[str | None] = [*dict.fromkeys(contexts or ())] or [None]
    wanted = [Wanted(namespace, context, kubeconfig) for context in named] if asks else []
    folders = (runs or _default_runs()) if looks else []
    options = Options(folders, wanted, everywhere, output, order, reverse, _phases(phase or []))
    raise typer.Exit(show_list(options))


def compare(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ...",
            help="Run directories, experiment files, names of runs, or [[CONTEXT/]NAMESPACE/]NAME on clusters.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the comparison as one HTML page, pictures included."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help=f"Quality: {', '.join(MEASURES)}; default: what all rank their tickets by, else accuracy.",
        ),
    ] = None,
    output: Annotated[
        Shape, typer.Option("-o", "--output", help="json and csv are for programs.")
    ] = Shape.TABLE,
    runs: Annotated[
        Path, typer.Option("--runs", metavar="DIR", help="Folder of the runs that are named.")
    ] = Path("runs"),
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where clusters' artifacts can be read from here; default: spec.artifacts.uri of each.",
        ),
    ] = None,
    local: Local = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Set experiments side by side: what differs, quality by sparsity, best tickets, speed, time and cost.

    Each is held against the first. Levels are compared where their measured sparsities agree, and nothing is
    interpolated; differences are paired by seed where seeds are shared. Where a comparison is not like for like
    (other data, other dense networks, another machine), that is said first.
    """
    try:
        from ticketsmith.cli.comparing import Options, compare
    except ModuleNotFoundError as error:
        raise BadSpec(
            f"a comparison needs {error.name}, which is not installed: pip install 'ticketsmith[runner]'"
        ) from error
    from ticketsmith.cluster.connect import Wanted

    said = False if local is None and is_plugin(ctx) else local
    wanted = Wanted(namespace, context, kubeconfig)
    compare(names, Options(runs, wanted, said, store, _measure(metric), output, out))


def _measure(said: str | None) -> Measure | None:
    if said is None:
        return None
    for measure in MEASURES:
        if measure.lower() == said.lower():
            return measure
    raise BadSpec(f"--metric is {said}: name one of {', '.join(MEASURES)}")


def _default_runs() -> list[Path]:
    """Who has not run anything here yet is not told that a folder is missing."""
    folder = Path("runs")
    return [folder] if folder.exists() else []


def _phases(said: list[str]) -> list[Phase]:
    known: dict[str, Phase] = {phase.lower(): phase for phase in get_args(Phase)}
    for word in said:
        if word.lower() not in known:
            raise BadSpec(f"--phase is {word}: name one of {', '.join(known.values())}")
    return [known[word.lower()] for word in said]
