"""Pages that are made from the code are as the code makes them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import lottery_tickets
from lottery_tickets.reference import reference as names
from ticketsmith.cli.reference import reference as commands
from ticketsmith.experiment.reference import reference as fields
from ticketsmith_operator.reference import reference as flags

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("experiment.md", fields),
        ("reference/cli.md", commands),
        ("reference/operator.md", flags),
        ("reference/library.md", names),
    ],
)
def test_is_fresh(page: str, made: Callable[[], str]) -> None:
    assert (DOCS / page).read_text() == made(), "stale: run make docs"


def test_every_field_says_what_it_means() -> None:
    rows = [line for line in fields().splitlines() if line.startswith("| `spec.")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_public_name_of_the_library_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)", names(), re.MULTILINE)
    assert sorted(rows) == sorted(lottery_tickets.__all__)


def test_every_option_and_flag_says_what_it_means() -> None:
    options = [line for line in commands().splitlines() if line.startswith("* `-")]
    assert len(options) > 40
    assert [line for line in options if ": " not in line] == []
    assert [line for line in flags().splitlines() if line.endswith("|  |")] == []
