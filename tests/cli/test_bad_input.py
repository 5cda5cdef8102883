"""Bad input gets one sentence with field, value and remedy, exit code 2, and nothing is started or left behind."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

# (what is changed in the file, what stands there instead, words the sentence must have)
PURE = [
    ("batchSize: 100", "batchsize: 100", ["spec.training.batchsize", "batchSize"]),
    ("batchSize: 100", "batchSize: many", ["spec.training.batchSize", "many"]),
    ("targets: [0.5]", "targets: [1.5]", ["spec.sparsities.targets", "1.5"]),
    ("targets: [0.5]", "targets: [-0.1]", ["spec.sparsities.targets", "-0.1"]),
    ("targets: [0.5]", "rate: 0.5, levels: 90", ["spec.sparsities", "level"]),
    ("duration: 2ep", "duration: 0ep", ["spec.training.duration", "0"]),
    ("duration: 2ep", "duration: long", ["spec.training.duration", "long"]),
    ("metric: accuracy", "metric: perplexity", ["spec.gates", "perplexity", "accuracy"]),
    ("seeds: [0]", "seeds: [0, 0]", ["spec.seeds"]),
    ("name: tiny", "name: Tiny Name", ["metadata.name", "Tiny Name"]),
    ("kind: PruningExperiment", "kind: Pod", ["kind", "Pod", "PruningExperiment"]),
    ("spec:", "spec: 3\nx:", ["spec", "3"]),
    ("seeds: [0]", "seeds: [0]\n  seeds: [1]", ["'seeds' stands twice"]),
    ("seeds: [0]", "artifacts: {uri: 's3://b/x'}", ["gs://", "file:///path"]),
]
WITH_ENGINE = [
    ("name: lenet300", "name: lenet30", ["spec.model.name", "lenet30", "lenet300"]),
    ("name: digits", "name: digit", ["spec.dataset.name", "digit", "digits"]),
    ("name: digits}", "name: mnist, uri: nowhere}", ["spec.dataset", "nowhere"]),
    ("name: digits}", "name: digits, options: {colour: 1}}", ["spec.dataset.options", "colour"]),
    ("seeds: [0]", "seeds: [0]\n  pruning: {exclude: [fc9]}", ["spec.pruning.exclude", "fc9"]),
    (
        "seeds: [0]",
        "seeds: [0]\n  pruning: {rateFactors: {zz: 1}}",
        ["spec.pruning.rateFactors", "zz"],
    ),
    ("targets: [0.5]", "targets: [0.5, 0.500001]", ["spec.sparsities", "level 2"]),
]


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("ticketsmith: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(("old", "new", "words"), PURE)
def test_a_wrong_field(here: Run, experiment: Path, old: str, new: str, words: list[str]) -> None:
    text = experiment.read_text()
    assert old in text
    experiment.write_text(text.replace(old, new, 1))
    refused(here("run", str(experiment)), *words)
    assert [p.name for p in experiment.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(("old", "new", "words"), WITH_ENGINE)
def test_what_only_the_engine_knows(
    here: Run, experiment: Path, old: str, new: str, words: list[str]
) -> None:
    text = experiment.read_text()
    assert old in text
    experiment.write_text(text.replace(old, new, 1))
    refused(here("run", str(experiment)), *words)
    assert [p.name for p in experiment.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["FILE"]),
        (["run", "nowhere.yaml"], ["nowhere.yaml", "no such file", "ticketsmith init"]),
        (["run", "tiny.yaml", "--config", "tiny.yaml"], ["name one experiment file"]),
        (["run", "tiny.yaml", "--price", "cheap"], ["--price", "cheap", "0.35"]),
        (["run", "tiny.yaml", "--price", "-1"], ["--price", "-1"]),
        (["run", "tiny.yaml", "--price", "NaN"], ["--price", "NaN"]),
        (["run", "tiny.yaml", "--parallelism", "0"], ["--parallelism", "0", "at least 1"]),
        (["run", "tiny.yaml", "--store", "s3://bucket"], ["s3://", "file:///path"]),
        (["plan", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["train", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["validate", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["status", "nowhere"], ["nowhere", "not a run directory"]),
        (["init", "tiny.yaml"], ["tiny.yaml", "there already", "--force"]),
    ],
)
def test_a_wrong_argument(
    here: Run, experiment: Path, arguments: list[str], words: list[str]
) -> None:
    refused(here(*arguments), *words)
    assert [p.name for p in experiment.parent.iterdir()] == ["tiny.yaml"]


def test_a_store_that_cannot_be_written(here: Run, experiment: Path) -> None:
    (experiment.parent / "file").write_text("")
    refused(here("run", "tiny.yaml", "--store", "file"), "file stands where a folder is needed")
    refused(here("run", "tiny.yaml", "--runs", "file"), "file stands where a folder is needed")


def test_validate_says_one_sentence_for_each_bad_file(here: Run, experiment: Path) -> None:
    bad = experiment.with_name("bad.yaml")
    bad.write_text(experiment.read_text().replace("lenet300", "lenet30"))
    done = here("validate", "tiny.yaml", "bad.yaml", "nowhere.yaml")
    assert done.returncode == 2
    assert done.stdout == "tiny.yaml: good: lenet300 on digits, 5 rounds (1 seed, 1 level)\n"
    first, second = done.stderr.splitlines()
    assert first.startswith("ticketsmith: bad.yaml: spec.model.name")
    assert second.startswith("ticketsmith: nowhere.yaml: ")
    assert here("validate", "tiny.yaml").returncode == 0


def test_the_process_itself_exits_with_2_and_one_line(ticketsmith: Run) -> None:
    refused(ticketsmith("run", "nowhere.yaml"), "nowhere.yaml", "no such file")
