"""The commands that speak with a cluster, for `ticketsmith` and for `kubectl ticketsmith`."""

from pathlib import Path
from typing import Annotated

import typer

from ticketsmith.cli.arguments import Config, Context, File, Kubeconfig, Local, Namespace, Output
from ticketsmith.experiment.problems import BadSpec

PLUGIN = "kubectl ticketsmith"
"""The name under which kubectl runs us: there, every name means a cluster's."""


def submit(
    ctx: typer.Context,
    file: File = None,
    config: Config = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show progress until the experiment has ended.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have the cluster check the file; keep nothing.")
    ] = False,
) -> None:
    """Hand an experiment to a cluster that runs TicketSmith's operator.

    Submitting a file again changes what changed in it (limits, retention, suspend) and nothing else. Ctrl-C ends the
    watching, never the experiment. Exit codes: 0 submitted, or with --watch succeeded; 1 it failed; 2 the input is
    wrong; 3 the cluster cannot be reached or does not allow it, or the experiment was deleted; 130 Ctrl-C.
    """
    from ticketsmith.cli.submit import Options, submit_file
    from ticketsmith.cluster.connect import Wanted

    if (file is None) == (config is None):
        raise BadSpec("name one experiment file: ticketsmith submit FILE (or --config FILE)")
    wanted = Wanted(namespace, context, kubeconfig)
    options = Options(wanted, watch, dry_run, _program(ctx))
    raise typer.Exit(submit_file(file or config or Path(), options))


def status(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(metavar="NAME", help="An experiment on a cluster, or a run directory here."),
    ],
    output: Output = None,
    local: Local = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show how far an experiment is, or how it ended: on a cluster, or in a run directory here."""
    from ticketsmith.cli.status import show_status, show_status_on_cluster
    from ticketsmith.cli.where import is_local, nor_a_folder
    from ticketsmith.cluster.connect import Wanted

    said = _said(ctx, local)
    if is_local(run, said):
        return show_status(Path(run), output)
    with nor_a_folder(run, said):
        return show_status_on_cluster(run, Wanted(namespace, context, kubeconfig), output)


def logs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment on a cluster.")],
    round_: Annotated[
        str | None,
        typer.Argument(
            metavar="[ROUND]",
            help="A round, e.g. ticket-s0-l03; default: the one that runs.",
            show_default=False,
        ),
    ] = None,
    attempt: Annotated[
        str | None,
        typer.Option(metavar="N", help="Which attempt: a number, or all; default: the latest."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the attempt has ended.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print every line as the round wrote it.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print what a round on a cluster wrote, lines of progress as a local run shows them."""
    from ticketsmith.cli.logs import Options, show_logs
    from ticketsmith.cluster.connect import Wanted

    wanted = Wanted(namespace, context, kubeconfig)
    show_logs(name, Options(wanted, round_, attempt, follow, raw))


def report(
    ctx: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="An experiment on a cluster, or run directories here."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to write to; default: RUN/report, for several ./report, for a cluster's ./NAME-report.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where a cluster's artifacts can be read from here; default: spec.artifacts.uri.",
        ),
    ] = None,
    local: Local = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Turn results into a report: HTML, Markdown, PNG and PDF; several runs side by side."""
    from ticketsmith.cli.where import is_local, nor_a_folder
    from ticketsmith.cluster.connect import Wanted

    said = _said(ctx, local)
    if len(runs) > 1 or is_local(runs[0], said):
        from ticketsmith.report import write_report

        page = write_report([Path(run) for run in runs], out)
    else:
        from ticketsmith.cli.fetch import fetch_report

        with nor_a_folder(runs[0], said):
            page = fetch_report(runs[0], Wanted(namespace, context, kubeconfig), store, out)
    print(f"Executive Report generated: {page.with_name('executive_summary.md')}")
    print(f"Full Report: {page}")


def _program(ctx: typer.Context) -> str:
    return ctx.find_root().info_name or "ticketsmith"


def is_plugin(ctx: typer.Context) -> bool:
    """Whether kubectl runs us."""
    return _program(ctx) == PLUGIN


def _said(ctx: typer.Context, local: bool | None) -> bool | None:
    return False if local is None and is_plugin(ctx) else local
