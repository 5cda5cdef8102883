"""The command line as a page, made from the commands themselves: python -m ticketsmith.cli.reference."""

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from ticketsmith.cli.app import app

_HEAD = """\
<!-- Made by `make docs` from the commands; do not edit. -->

"""


def reference() -> str:
    """The page, in Markdown."""
    command = get_command(app)
    told = get_docs_for_click(obj=command, ctx=typer.Context(command), name="ticketsmith")
    return _HEAD + told.strip() + "\n"


if __name__ == "__main__":
    print(reference(), end="")
