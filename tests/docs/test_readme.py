"""What the README shows is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from shown import blocks, commands, expand

from ticketsmith.experiment.load import parse_experiment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ON_ONE_MACHINE, _, ON_A_CLUSTER = README.partition("\n## The same file on a cluster\n")


def test_the_experiment_shown_is_a_good_one() -> None:
    (shown,) = blocks("yaml", README)
    assert parse_experiment(yaml.safe_load(shown)).metadata.name == "mnist-lenet300"


def test_the_python_shown_runs() -> None:
    (shown,) = blocks("python", README)
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "90.0%"


def test_make_has_every_target_that_is_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert named
    assert named <= targets


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_for_a_cluster_are_those_that_its_page_runs() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    shown = re.findall(r"ticketsmith ([a-z]+) ", "\n".join(blocks("sh", ON_A_CLUSTER)))
    assert shown
    assert [verb for verb in shown if f"ticketsmith {verb} " not in page] == []


@pytest.mark.slow
def test_the_commands_run_one_after_the_other(tmp_path: Path) -> None:
    """In the order shown, in an empty folder. The starter file is cut down so that its run takes seconds."""
    ours = [line for line in commands(ON_ONE_MACHINE) if line.startswith("ticketsmith ")]
    verbs = [line.split()[1] for line in ours]
    assert verbs == ["init", "validate", "plan", "run", "report", "benchmark"]
    for line in ours:
        if line.split()[1] == "benchmark":
            tickets = [
                path.parent
                for path in (tmp_path / "runs" / "store").glob("*/mask.safetensors")
                if (path.parent / "result.json").exists()
            ]
            line = line.replace("runs/store/0123456789abcdef", str(tickets[0]))
        words = [str(Path(sys.executable).with_name("ticketsmith")), *expand(line, tmp_path)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if line.split()[1] == "init":
            cut_down(tmp_path / "experiment.yaml")


def cut_down(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    document["metadata"]["name"] = "quickstart"
    document["spec"]["training"]["duration"] = "2ep"
    document["spec"]["sparsities"] = {"targets": [0.5]}
    document["spec"]["seeds"] = [0]
    document["spec"]["gates"] = [{"metric": "accuracy", "maxDrop": 0.9}]
    document["spec"]["benchmark"] = {"batchSizes": [1], "warmup": 1, "repeats": 5}
    file.write_text(yaml.safe_dump(document))
