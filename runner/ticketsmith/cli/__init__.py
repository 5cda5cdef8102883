"""The command line. Imports nothing heavy: every round's process imports its program's entry point anew."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None, program: str = "ticketsmith") -> None:
    """Carry out a command line (without the program's name) and exit with its code."""
    try:
        from ticketsmith.cli.app import carry_out

        code = carry_out(sys.argv[1:] if arguments is None else list(arguments), program)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def plugin() -> None:
    """`kubectl ticketsmith ...`: kubectl runs the program kubectl-ticketsmith with the words that follow."""
    main(program="kubectl ticketsmith")
