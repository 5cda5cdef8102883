"""The small commands, and that help answers without loading what only work needs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ticketsmith import __version__
from ticketsmith.cli.files import read_experiment
from ticketsmith.cli.init import init

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = ["run", "train", "plan", "validate", "init", "status", "report", "benchmark"]
COMMANDS += ["submit", "logs", "list", "compare"]


def test_help_and_bad_files_are_answered_without_torch(tmp_path: Path) -> None:
    code = """
import sys
from ticketsmith.cli.app import carry_out
assert carry_out(["--help"]) == 0
assert carry_out(["run", "--help"]) == 0
assert carry_out(["run", "nowhere.yaml"]) == 2
heavy = {"torch", "torchvision", "numpy", "matplotlib", "sklearn", "reportlab"} & set(sys.modules)
print("heavy:", heavy)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "heavy: set()"


def test_the_entry_point_of_every_child_is_light() -> None:
    code = "import sys, ticketsmith.cli; print({'typer', 'rich', 'pydantic', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(here: Run, command: str) -> None:
    done = here(command, "--help")
    assert done.returncode == 0
    assert "Example:" in done.stdout
    assert f"ticketsmith {command} " in done.stdout


def test_version(here: Run) -> None:
    assert here("version").stdout == f"{__version__}\n"


def test_init_writes_a_commented_file_that_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.yaml"
    init(file, "torchvision:resnet18", "cifar10", replace=False)
    experiment, text = read_experiment(file)
    assert (experiment.spec.model.name, experiment.spec.dataset.name) == (
        "torchvision:resnet18",
        "cifar10",
    )
    assert experiment.metadata.name == "cifar10-torchvision-resnet18"
    assert text.count("#") > 10
    assert f"ticketsmith plan {file}" in capsys.readouterr().out
    file.write_text("mine")
    init(file, "lenet300", "digits", replace=True)
    assert read_experiment(file)[0].metadata.name == "digits-lenet300"


@pytest.mark.slow
def test_plan_shows_the_rounds_and_an_estimate_and_starts_nothing(
    here: Run, experiment: Path
) -> None:
    done = here("plan", "tiny.yaml", "--price", "0.35")
    assert done.returncode == 0, done.stderr
    for words in (
        "└── ticket-s0-l01  50.0%",
        "random-s0-l01",
        "benchmark",
        "5 rounds to do",
        "Cost: ",
    ):
        assert words in done.stdout
    assert "ms a training step (median of" in done.stdout
    assert [p.name for p in experiment.parent.iterdir()] == ["tiny.yaml"]
    document = yaml.safe_load(here("plan", "tiny.yaml", "-o", "yaml").stdout)
    assert [r["parents"] for r in document["rounds"]][:3] == [
        [],
        ["dense-s0"],
        ["dense-s0", "ticket-s0-l01"],
    ]
    assert document["estimate"]["stepsPerRound"] > 0
    assert document["estimate"]["wallSeconds"] > 0
    assert document["estimate"]["cost"] is None
