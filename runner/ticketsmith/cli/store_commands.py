"""The commands that look after an artifact store."""

from pathlib import Path
from typing import Annotated

import typer

from ticketsmith.cli.arguments import Context, Kubeconfig, Namespace, Output
from ticketsmith.experiment.problems import BadSpec


def gc(
    address: Annotated[
        str,
        typer.Argument(metavar="STORE", help="A folder, file:///path or gs://bucket/prefix."),
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs",
            metavar="DIR",
            help="Folder of run directories that may use the store; may be given several times.",
            show_default=False,
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--experiments",
            metavar="FILE",
            help="Experiments that may use it, as `kubectl get pex -A -o json` prints them; several times.",
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Ask a cluster for its experiments.")
    ] = False,
    namespace: Namespace = None,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Every namespace of the cluster.")
    ] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    older_than: Annotated[
        str,
        typer.Option(
            metavar="AGE", help="Touch only what was neither changed nor used for so long: 36h, 7d."
        ),
    ] = "7d",
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Remove also rounds that none of the experiments knows."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this only say what would go.")
    ] = False,
    output: Output = None,
) -> None:
    """Remove from an artifact store what no experiment needs any more. Without --yes it only says what would go.

    An experiment that goes on needs everything its keys name; of one that ended, the weights go that
    spec.retention.keepCheckpoints does not keep. Results, metrics and masks stay. Name every place whose experiments
    use the store; beside a store in a folder, run directories are found by themselves. It may be stopped and started
    again at any time. Exit codes: 0; 1 the store is away; 2 the input is wrong, or an experiment cannot be read; 3 the
    cluster cannot be asked.
    """
    from ticketsmith.cli.gc import Options, collect
    from ticketsmith.cli.living import Sources
    from ticketsmith.cluster.connect import Wanted

    if namespace is not None and everywhere:
        raise BadSpec(
            f"--all-namespaces and -n {namespace} contradict each other: give one of them"
        )
    asks = cluster or bool(namespace or everywhere or context or kubeconfig)
    wanted = Wanted(namespace, context, kubeconfig) if asks else None
    sources = Sources(runs or (), files or (), wanted, everywhere)
    collect(address, Options(sources, older_than, orphans, yes, output))
