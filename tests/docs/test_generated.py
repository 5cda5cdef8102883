"""Pages that are made from the code are as the code makes them."""

from pathlib import Path

from ticketsmith.experiment.reference import reference

ROOT = Path(__file__).parents[2]


def test_the_field_reference_is_fresh() -> None:
    assert (ROOT / "docs" / "experiment.md").read_text() == reference(), "stale: run make docs"


def test_every_field_says_what_it_means() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `spec.")]
    assert len(rows) > 50
    assert [row for row in rows if row.endswith("|  |")] == []
