"""ticketsmith compare: which experiments are meant, and the forms of the answer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]
EXPERIMENT = """\
apiVersion: ticketsmith.dev/v1alpha1
kind: PruningExperiment
metadata: {name: NAME}
spec:
  model: {name: lenet300}
  dataset: {name: digits}
  training: {duration: 1ep, batchSize: 100}
  pruning: {scope: SCOPE}
  sparsities: {targets: [0.5, DEEPEST]}
  controls: []
  seeds: [0, 1]
  gates: [{metric: accuracy, maxDrop: 0.9}]
  benchmark: null
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small experiments and what running them left."""
    from ticketsmith.cli.app import carry_out

    folder = tmp_path_factory.mktemp("compared")
    for name, scope, deepest in (("wide", "global", "0.8"), ("even", "layer", "0.9")):
        text = EXPERIMENT.replace("NAME", name).replace("SCOPE", scope).replace("DEEPEST", deepest)
        (folder / f"{name}.yaml").write_text(text)
        file, runs = str(folder / f"{name}.yaml"), str(folder / "runs")
        assert carry_out(["run", file, "--runs", runs, "--quiet", "--no-report"]) == 0
    return folder


@pytest.fixture
def beside(here: Run, ran: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Commands in that folder."""
    monkeypatch.chdir(ran)
    return here


def refused(done: CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done
    assert done.stderr.startswith("ticketsmith: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


pytestmark = pytest.mark.slow


def test_names_files_and_folders_mean_the_same_runs(beside: Run, ran: Path) -> None:
    [wide] = (ran / "runs").glob("wide_*")
    told = [
        beside("compare", *names, "-o", "csv")
        for names in (("wide", "even"), ("wide.yaml", "even.yaml"), (f"runs/{wide.name}", "even"))
    ]
    assert [done.returncode for done in told] == [0, 0, 0], told
    assert len({done.stdout for done in told}) == 1
    assert told[0].stdout.splitlines()[1].startswith("0.0,wide,runs/wide_")


def test_the_table_says_what_differs_and_where_nothing_can_be_compared(beside: Run) -> None:
    shown = beside("compare", "wide", "even").stdout
    assert shown.startswith("wide reaches 80.0% within the 90-point gate and even reaches 90.0%")
    assert "At 50.0%, the deepest sparsity that all measured" in shown
    assert "Not measured by any other: wide at 80.0%; even at 90.0%." in shown
    [scope] = [line for line in shown.splitlines() if line.startswith("spec.pruning.scope")]
    assert scope.split() == ["spec.pruning.scope", "global", "layer"]
    assert "paired, 2 seeds" in shown
    assert "spec.training" not in shown


def test_a_page_is_written_beside_whatever_is_printed(beside: Run, ran: Path) -> None:
    done = beside("compare", "wide", "even", "--out", "out/page.html", "-o", "json")
    told = json.loads(done.stdout)
    assert [one["name"] for one in told["experiments"]] == ["wide", "even"]
    assert done.stderr == "Comparison: out/page.html\n"
    assert "<h1>wide and even side by side</h1>" in (ran / "out" / "page.html").read_text()
    refused(beside("compare", "wide", "even", "--out", "wide.yaml/page.html"), "wide.yaml")


def test_another_metric_is_compared_where_it_was_measured(beside: Run) -> None:
    shown = beside("compare", "wide", "even", "--metric", "VALLOSS").stdout
    assert "Validation loss at matching sparsity" in shown
    refused(beside("compare", "wide", "even", "--metric", "f1"), "--metric is f1", "valAccuracy")


def test_artifacts_that_have_gone_leave_what_the_status_knows(
    here: Run, ran: Path, tmp_path: Path
) -> None:
    shutil.copytree(ran / "runs", tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "store")
    shown = here("compare", "wide", "even").stdout
    assert shown.count("Read from its status alone") == 2
    assert "paired, 2 seeds" in shown


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["wide"], ["2 to 12 experiments, and 1 are named"]),
        (["wide", "wide.yaml"], ["is named twice"]),
        (["wide", "runs"], ["runs is not a run directory"]),
        (["wide", "nowhere"], ["nowhere is not a run in runs, and no cluster is configured"]),
        (["wide", "No Such"], ["No Such is no run directory", "ticketsmith list"]),
        (["wide", "nowhere", "--local"], ["nowhere is no run directory"]),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(
    beside: Run, names: list[str], words: list[str]
) -> None:
    refused(beside("compare", *names), *words)


def test_a_name_of_two_runs_and_a_file_that_was_not_run_are_refused(
    here: Run, ran: Path, tmp_path: Path
) -> None:
    shutil.copytree(ran / "runs", tmp_path / "runs")
    [wide] = (tmp_path / "runs").glob("wide_*")
    shutil.copytree(wide, wide.with_name("wide_00000000"))
    refused(here("compare", "wide", "even"), "wide is the name of 2 runs", "wide_00000000")
    text = (ran / "wide.yaml").read_text()
    (tmp_path / "new.yaml").write_text(text.replace("1ep", "2ep"))
    refused(here("compare", "new.yaml", "even"), "new.yaml was not run in runs")
