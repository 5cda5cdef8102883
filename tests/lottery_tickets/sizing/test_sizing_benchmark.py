"""The sizing benchmark runs and writes what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "sizing.py"


@pytest.mark.slow
def test_it_measures_and_writes(tmp_path: Path) -> None:
    options = ["--quick", "--only", "GPT,fp32,fisher", "--output", tmp_path / "out"]
    subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True)
    result = json.loads((tmp_path / "out.json").read_text())
    assert [case["call"] for case in result["cases"]] == ["fisher", "fisher, host"]
    for case in result["cases"]:
        assert case["weights"] == 5_847_040
        assert case["predicted"] > case["weights"]
        assert case["measured"] > case["weights"]
    text = (tmp_path / "out.md").read_text()
    assert "| GPT | fp32 | fisher | 6 |" in text
    assert "| peak GB, batch 1 | 0.5B (0.49 billion weights) |" in text
