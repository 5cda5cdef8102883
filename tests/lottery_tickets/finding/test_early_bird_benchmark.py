"""The early-bird benchmark runs and writes what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "early_bird.py"


@pytest.mark.slow
def test_it_measures_and_writes(tmp_path: Path) -> None:
    options = ["--quick", "--threads", "1", "--output", tmp_path / "out"]
    subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["network"]["weights"] == 4 * 256 * 256
    for dtype, size in (("fp32", 4), ("bf16", 2)):
        for name, found in result["memory"][dtype].items():
            assert found["weights"] == 4 * 256 * 256 * size, name
            assert 0 < found["activations"] < found["weights"], name
            assert min(found["training"], found["whole"]) > 0, name
    assert "| fp32, in backward |" in (tmp_path / "out.md").read_text()
