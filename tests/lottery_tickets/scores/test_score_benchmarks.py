"""The benchmarks of scores run, check their own answers and write what they found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.slow
def test_fisher(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "fisher.py", "--quick", "--output", tmp_path / "out"]
    subprocess.run(command, check=True, capture_output=True)
    result = json.loads((tmp_path / "out.json").read_text())
    assert {case["scored"] for case in result["cases"].values()} == {393_216}
    assert max(result["errors"].values()) < 1e-4
    assert "| plain loop |" in (tmp_path / "out.md").read_text()
