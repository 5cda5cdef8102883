"""The selection benchmark runs, checks its own answers and writes what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "selection.py"


@pytest.mark.slow
def test_it_measures_and_writes(tmp_path: Path) -> None:
    options = ["--quick", "--threads", "1", "--output", tmp_path / "out"]
    subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["weights"] == 200_000
    assert set(result["ratios"]) == {"threshold against sort", "threshold against kthvalue"}
    for name, times in result["seconds"].items():
        assert len(times) == 2, name
        assert min(times) > 0, name
    assert "sort" in result["sizes"]["100000"]["seconds"]
    assert set(result["sizes"]["200000"]["seconds"]) == {"threshold", "select", "read"}
    text = (tmp_path / "out.md").read_text()
    assert "| threshold against sort |" in text
    assert text.count("times as long as reading the weights once") == 3
    assert "On 200,000 the peers are not run" in text
