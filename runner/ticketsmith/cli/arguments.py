"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from ticketsmith.cli.output import Form

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The experiment file (YAML or JSON).", show_default=False),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The same as FILE.", show_default=False),
]
Output = Annotated[
    Form | None,
    typer.Option(
        "-o",
        "--output",
        help="Print the final resource, alone on standard output, as json or yaml.",
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", metavar="NAME", help="Namespace; default: the kubeconfig's."),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Context; default: the kubeconfig's."),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, else ~/.kube/config."),
]
Local = Annotated[
    bool | None,
    typer.Option(
        "--local/--cluster",
        help="Whether a run directory or an experiment on a cluster is meant; default: a folder that exists is one.",
        show_default=False,
    ),
]
