"""The command line as people meet it: a process with an exit code and two streams."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketsmith.cli.app import carry_out

EXPERIMENT = """\
apiVersion: ticketsmith.dev/v1alpha1
kind: PruningExperiment
metadata: {name: tiny}
spec:
  model: {name: lenet300}
  dataset: {name: digits}
  training: {duration: 2ep, batchSize: 100}
  sparsities: {targets: [0.5]}
  controls: [random]
  seeds: [0]
  gates: [{metric: accuracy, maxDrop: 0.5}]
  benchmark: {batchSizes: [1], warmup: 1, repeats: 5}
"""

NO_CLUSTER = os.devnull + "/none"
"""A kubeconfig that is not there: no test speaks with the cluster of whoever runs it."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ticketsmith(tmp_path: Path) -> Run:
    """Run `ticketsmith ARGUMENTS` in tmp_path."""

    def run(*arguments: str, module: str = "") -> subprocess.CompletedProcess[str]:
        code = "from ticketsmith.cli import main; main()"
        command = ["-m", module] if module else ["-c", code]
        return subprocess.run(
            [sys.executable, *command, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", "KUBECONFIG": NO_CLUSTER},
        )

    return run


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The same in this process: quicker, as nothing is imported anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", NO_CLUSTER)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = carry_out(list(arguments))
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """A small real experiment in a file."""
    file = tmp_path / "tiny.yaml"
    file.write_text(EXPERIMENT)
    return file
