"""The tutorial's part for one machine is followed to the letter. Its other part: tests/cluster/test_tutorial.py."""

from pathlib import Path

import pytest
from shown import commands
from tutorial import HERE, ticketsmith, write_files


@pytest.mark.slow
def test_on_one_machine(tmp_path: Path) -> None:
    write_files(tmp_path)
    ours = [line for line in commands(HERE) if line.startswith("ticketsmith ")]
    assert [line.split()[1] for line in ours] == [
        *("validate", "plan", "run", "list", "status", "report"),
        *("run", "compare", "gc"),
    ]
    said = {line: ticketsmith(line, tmp_path) for line in ours}
    assert "first" in said["ticketsmith list"]
    assert (tmp_path / "comparison.html").exists()
    assert list((tmp_path / "report").glob("*.html"))
    before = sorted(tmp_path.glob("runs/store/*"))
    assert len(before) > 30  # what gc only shows is still there
