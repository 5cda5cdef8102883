"""Which view shows a run: bars where a person looks at a screen, lines where a log is kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from ticketsmith.cli.bars import BarsView
from ticketsmith.cli.output import say
from ticketsmith.cli.plain import PlainView
from ticketsmith.experiment.view import View


@contextmanager
def watching(console: Console) -> Iterator[View]:
    """The view that suits the console, while the run goes on."""
    if console.is_terminal:
        with BarsView(console) as bars:
            yield bars
    else:
        yield PlainView(lambda line: say(console, line))
