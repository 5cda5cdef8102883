"""Shared by the tests of the pruning library."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small tensors are quickest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run_quickly(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    """Run a script of benchmarks/ with --quick and further options; the figures and the page that it writes."""

    def run(script: str, *options: str) -> tuple[dict[str, Any], str]:
        command = [sys.executable, BENCHMARKS / script, "--quick", *options]
        subprocess.run([*command, "--output", tmp_path / "out"], check=True, capture_output=True)
        result = json.loads((tmp_path / "out.json").read_text())
        return result, (tmp_path / "out.md").read_text()

    return run
