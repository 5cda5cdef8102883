"""The channels benchmark runs, checks its own answers and writes what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "channels.py"


@pytest.mark.slow
def test_it_measures_and_writes(tmp_path: Path) -> None:
    options = ["--quick", "--threads", "1", "--output", tmp_path / "out"]
    subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True)
    result = json.loads((tmp_path / "out.json").read_text())
    assert [one["network"] for one in result["networks"]] == ["resnet18", "mobilenet_v2"]
    for one in result["networks"]:
        assert one["parameters counted"] == one["parameters"][0] < one["parameters"][1]
    assert set(result["latency"]["milliseconds"]["1"]) == {"dense", "masked", "compacted"}
    assert "| resnet18 | ours |" in (tmp_path / "out.md").read_text()
