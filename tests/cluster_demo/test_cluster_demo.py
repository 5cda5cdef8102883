"""What the cluster demo plans and says; that it comes up is seen when it runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster_demo import plan, words
from ticketsmith.experiment.spec import PruningExperiment

ROOT = Path(__file__).parents[2]


def experiment(name: str, phase: str = "Running", progress: str = "1/2") -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"phase": phase, "progress": progress}}


@pytest.mark.parametrize("name", plan.EXAMPLES)
def test_an_example_is_applied_with_one_seed_or_all_and_computes_the_same(name: str) -> None:
    text = (ROOT / "examples" / name).read_text()
    example = PruningExperiment.model_validate(yaml.safe_load(text))
    whole = PruningExperiment.model_validate(plan.experiment(text, all_seeds=True))
    assert whole.spec.config_hash == example.spec.config_hash
    small = PruningExperiment.model_validate(plan.experiment(text, all_seeds=False))
    assert small.spec.seeds == example.spec.seeds[:1]


@pytest.mark.parametrize(("cores", "at_once"), [(1, 1), (2, 1), (8, 2), (64, 21)])
def test_the_three_together_fit_on_the_machine(cores: int, at_once: int) -> None:
    values = plan.values("localhost/operator:abc", "localhost:5000/runner:def", cores)
    assert values["operator"]["capacity"] == at_once
    assert values["image"]["tag"] == "abc"
    assert values["runner"]["image"] == {"repository": "localhost:5000/runner", "tag": "def"}


def test_progress_is_one_line() -> None:
    new = {"metadata": {"name": "new"}}
    line = words.progress([new, experiment("a"), experiment("b", "Succeeded", "2/2")])
    assert line == "new - Pending · a 1/2 · b 2/2 Succeeded"


def test_it_is_over_when_all_have_ended_and_says_which_failed() -> None:
    good, bad = experiment("good", "Succeeded"), experiment("bad", "Failed")
    bad["status"]["message"] = "dense-s0 failed"
    assert not words.have_ended([good, experiment("slow")])
    assert words.have_ended([good, bad])
    assert words.failures([good, bad]) == ["bad did not succeed: dense-s0 failed"]


def test_the_last_words_hold_the_table_the_cost_and_every_address() -> None:
    costs = [words.Cost("two", 0.002, "USD"), words.Cost("one", 0.001, "USD")]
    reports = [Path("out/one/report.html"), Path("out/two/report.html")]
    kubectl = ["kubectl", "--kubeconfig", Path("a folder/kubeconfig")]
    said = words.ending("NAME\none\n", costs, "http://127.0.0.1:9", reports, kubectl).splitlines()
    assert said[:3] == ["$ kubectl get pex", "NAME", "one"]
    first = said.index("  one       0.001000 USD")
    assert said[first : first + 3] == [
        "  one       0.001000 USD",
        "  two       0.002000 USD",
        "  together  0.003000 USD",
    ]
    assert "Prometheus  http://127.0.0.1:9   alerts: http://127.0.0.1:9/alerts" in said
    assert said[-3:] == [
        "Reports     out/one/report.html",
        "            out/two/report.html",
        "kubectl     kubectl --kubeconfig 'a folder/kubeconfig' get pex",
    ]


def test_help_has_examples() -> None:
    paths = os.pathsep.join(str(ROOT / one) for one in ("scripts", "tests/cluster"))
    command = [sys.executable, "-m", "cluster_demo", "--help"]
    environment = os.environ | {"PYTHONPATH": paths}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "make cluster-demo DEMO=" in said.stdout


def test_a_machine_without_the_tools_is_told_how_to_get_them(tmp_path: Path) -> None:
    paths = os.pathsep.join(str(ROOT / one) for one in ("scripts", "tests/cluster"))
    environment = os.environ | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("KUBEBUILDER_ASSETS", None)
    command = [sys.executable, "-m", "cluster_demo"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert said.returncode == 2
    assert said.stderr.startswith("cluster-demo: ")
    assert len(said.stderr.splitlines()) == 1
    assert (
        "install the Debian packages" in said.stderr
        or "make cluster-tools" in said.stderr
        or ("root" in said.stderr)
    )
