"""load: a good document is read, a bad one gets one sentence with field, value and remedy."""
# ruff: noqa: E501  (a table: one document, one line)

import copy
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.problems import BadSpec

GOOD = {
    "apiVersion": "ticketsmith.dev/v1alpha1",
    "kind": "PruningExperiment",
    "metadata": {"name": "trial"},
    "spec": {"model": {"name": "lenet300"}},
}
GONE = object()


def document(path: str, value: Any) -> dict[str, Any]:
    """The good document with one field, named by a dotted path, set or removed."""
    changed = copy.deepcopy(GOOD)
    *folders, last = path.split(".")
    at = changed
    for folder in folders:
        at = at.setdefault(folder, {})
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return changed


def problem(path: str, value: Any) -> str:
    with pytest.raises(BadSpec) as caught:
        parse_experiment(document(path, value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.training.batchSize", 1),
        ("spec.training.optimizer.lr", 1),  # a whole number is a number
        ("spec.limits.maxCost", "5.00"),
        ("spec.limits.maxCost", 5.5),
        ("spec.benchmark", None),
        ("spec.sparsities", {"final": 0.9, "levels": 5}),
        ("spec.training.lrSchedule", {"name": "step", "milestones": ["5ep", "10ep"]}),
        ("spec.training.lrSchedule", {"name": "step", "milestones": ["5ep", "900it"]}),
        ("spec.pruning.rewind", "20ep"),  # as long as training, not longer
        ("spec.pruning.rewind", "50000it"),  # another unit: only the data can tell
        ("spec.gates", []),
        ("metadata.labels", {"team": "a"}),
        ("metadata.uid", "kept by Kubernetes"),
    ],
)
def test_good_documents(path: str, value: Any) -> None:
    parse_experiment(document(path, value))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        # unknown fields, with the nearest known name
        ("spec.training.batchsize", 3, "spec.training.batchsize (here 3) is not a field: did you mean batchSize?"),
        ("spec.training.batch_size", 3, "spec.training.batch_size (here 3) is not a field: did you mean batchSize?"),
        ("spec.gate", [], "spec.gate (here []) is not a field: did you mean gates?"),
        ("spec.gates", [{"metric": "loss", "maxdrop": 1}], "spec.gates[0].maxdrop (here 1) is not a field: did you mean maxDrop?"),
        ("spec.benchmark.batch", 1, "did you mean batchSizes?"),
        ("spec.model.xyz", 1, "spec.model.xyz (here 1) is not a field: remove it, or use one of name, options, weights"),
        ("spec.sparsities", {"search": {}}, "spec.sparsities.search (here {}) is not a field: remove it, or use one of rate, levels"),
        # missing
        ("spec.model", GONE, "spec.model is missing (the network): add it"),
        ("spec", GONE, "spec is missing (what is asked for): add it"),
        ("metadata.name", GONE, "metadata.name is missing"),
        # wrong types
        ("spec.training.batchSize", "60", 'spec.training.batchSize is "60", but must be a whole number'),
        ("spec.training.batchSize", True, "spec.training.batchSize is true, but must be a whole number"),
        ("spec.training.batchSize", 1.5, "spec.training.batchSize is 1.5, but must be a whole number"),
        ("spec.training.optimizer.lr", "1e-3", "write it without quotes and in full, 0.001"),
        ("spec.training.optimizer.lr", "fast", 'spec.training.optimizer.lr is "fast", but must be a number (peak learning rate): write a number'),
        ("spec.suspend", "yes", 'spec.suspend is "yes", but must be true or false'),
        ("spec.seeds", 3, "spec.seeds is 3, but must be a list"),
        ("spec.model", "lenet300", 'spec.model is "lenet300", but must be a mapping (the network): write a mapping, e.g. {name: lenet300}'),
        ("spec", None, "spec is null, but must be a mapping"),
        ("spec.training.duration", 20, "spec.training.duration is 20, but must be a text"),
        ("spec.training.gradientClip", float("nan"), "spec.training.gradientClip is NaN"),
        ("spec.dataset.options", {"day": datetime.date(2025, 1, 1)}, "spec.dataset.options.day is 2025-01-01"),
        # out of bounds
        ("spec.training.batchSize", 0, "spec.training.batchSize is 0, but must be greater than or equal to 1 (examples per optimizer step)"),
        ("spec.sparsities", {"targets": [0.5, 1.0]}, "spec.sparsities.targets[1] is 1.0, but must be less than 1"),
        ("spec.sparsities", {"targets": [-0.5]}, "spec.sparsities.targets[0] is -0.5, but must be greater than 0"),
        ("spec.sparsities", {"rate": 1.5, "levels": 2}, "spec.sparsities.rate is 1.5, but must be less than 1"),
        ("spec.seeds", [-1], "spec.seeds[0] is -1, but must be greater than or equal to 0"),
        ("spec.seeds", [], "spec.seeds is [], but must have at least 1 item"),
        ("spec.limits.maxCost", -1, "spec.limits.maxCost is -1"),
        ("spec.limits.parallelism", 0, "spec.limits.parallelism is 0"),
        ("spec.pruning.rateFactors", {"fc3": 2}, "spec.pruning.rateFactors.fc3 is 2"),
        ("metadata.name", "My Trial", 'metadata.name is "My Trial", but must have another form (name of the experiment: lower-case letters, digits and dashes)'),
        # choices, with the nearest
        ("spec.training.optimizer.name", "adm", "did you mean adam?"),
        ("spec.gates", [{"metric": "acuracy", "maxDrop": 0.1}], "spec.gates[0].metric is \"acuracy\", but must be 'accuracy' or 'loss': did you mean accuracy?"),
        ("spec.gates", [{"metric": "f1", "maxDrop": 0.1}], "spec.gates[0].metric is \"f1\", but must be 'accuracy' or 'loss': write accuracy or loss"),
        ("spec.controls", ["rand"], "did you mean random?"),
        ("kind", "Pod", "kind is \"Pod\", but must be 'PruningExperiment'"),
        # durations
        ("spec.training.duration", "20 epochs", "spec.training.duration: '20 epochs' is not a duration: write epochs (20ep)"),
        ("spec.training.duration", "0ep", 'spec.training.duration is "0ep"'),
        ("spec.pruning.rewind", "30ep", "spec.pruning.rewind is 30ep, later than training ends (spec.training.duration is 20ep)"),
        ("spec.training.lrSchedule", {"warmup": "21ep"}, "spec.training.lrSchedule.warmup is 21ep, later than training ends"),
        ("spec.training.lrSchedule", {"name": "step", "milestones": ["5ep", "30ep"]}, "spec.training.lrSchedule.milestones[1] is 30ep, later"),
        ("spec.training.lrSchedule", {"name": "step", "milestones": ["9ep", "5ep"]}, "spec.training.lrSchedule.milestones[1] is 5ep, not after 9ep"),
        # what fields rule out together
        ("spec.seeds", [1, 1], "spec.seeds: each value may stand once; [1, 1] repeats one"),
        ("spec.sparsities", {"rate": 0.2}, "spec.sparsities: give rate with levels, or targets alone"),
        ("spec.sparsities", {"targets": [0.5, 0.4]}, "targets must rise from level to level; [0.5, 0.4] does not"),
        ("spec.sparsities", {"rate": 0.9, "levels": 100}, "level 17 (sparsity 1.0) leaves no weight at all; ask for at most 16 levels"),
        ("spec.sparsities", {"rate": 1e-17, "levels": 2}, "level 1 (sparsity 0.0) removes nothing more"),
        ("spec.training.optimizer", {"momentum": 0.9}, "momentum is an option of sgd, not of adam: remove it or choose sgd"),
        ("spec.pruning", {"score": "hybrid"}, "score hybrid needs scoreWeights, e.g. {magnitude: 0.5, taylor: 0.5}"),
        ("spec.pruning", {"scoreWeights": {"fisher": 1}}, "scoreWeights belong to the score hybrid, not to magnitude"),
        ("spec.pruning", {"score": "hybrid", "scoreWeights": {}}, "no share is above 0"),
        ("spec.pruning", {"score": "hybrid", "scoreWeights": {"fischer": 1}}, "did you mean fisher?"),
        ("spec.pruning", {"score": "fischer"}, "did you mean fisher?"),
        ("spec.pruning", {"pattern": "4:2"}, "pattern 4:2 removes nothing: keep fewer than 2 of 2"),
        ("spec.pruning", {"pattern": "channel", "scope": "erk"}, "pattern channel removes channels: use global or layer"),
        ("spec.pruning", {"pattern": "2:4"}, "spec.pruning.pattern 2:4 removes 0.5 at once: begin there, e.g. targets: [0.5]"),
        ("spec.gates", [{"metric": "accuracy"}], "spec.gates[0]: a gate needs maxDrop"),
        ("spec.gates", [{"metric": "accuracy", "maxDrop": 2}], "spec.gates[0].maxDrop is 2, but accuracy is a fraction: write 0.02 for 2 points"),
        ("spec.gates", [{"metric": "accuracy", "worst": 95}], "spec.gates[0].worst is 95, but accuracy is a fraction: write 0.95"),
    ],
)  # fmt: skip
def test_bad_documents(path: str, value: Any, says: str) -> None:
    sentence = problem(path, value)
    assert says in sentence
    assert "\n" not in sentence
    assert "Input should" not in sentence
    assert not sentence.endswith("more)")


def test_more_rounds_than_a_status_can_hold() -> None:
    spec = {"seeds": list(range(100)), "sparsities": {"rate": 0.1, "levels": 90}}
    changed = document("spec.seeds", spec["seeds"])
    changed["spec"] |= spec
    with pytest.raises(BadSpec, match="spec asks for 27102 rounds, more than 20000"):
        parse_experiment(changed)


def test_of_several_errors_the_first_is_told_and_the_others_are_counted() -> None:
    changed = document("spec.training.batchSize", 0)
    changed["spec"]["suspend"] = "yes"
    changed["spec"]["zzz"] = 1
    with pytest.raises(BadSpec, match=r"^spec\.training\.batchSize is 0, .* \(and 2 more\)$"):
        parse_experiment(changed)


@pytest.mark.parametrize(
    ("value", "kind"), [(None, "empty"), ([], "a list"), ("text", "a text"), (3, "a number")]
)
def test_what_is_no_mapping(value: Any, kind: str) -> None:
    with pytest.raises(BadSpec, match=f"the document is {kind}, not a mapping"):
        parse_experiment(value)


def test_a_resource_with_its_status_reads_back(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(controls=["random"])
    lab.tick()
    lab.finish()
    resource = lab.experiment.model_copy(update={"status": lab.status})
    again = parse_experiment(resource.model_dump(mode="json", by_alias=True))
    assert again == resource


def test_no_batch_size_times_nothing_as_null_does() -> None:
    """kubectl apply leaves a null out: this says the same without one."""
    without = parse_experiment(document("spec.benchmark", {"batchSizes": []})).spec
    assert without == parse_experiment(document("spec.benchmark", None)).spec
    assert without.benchmark is None


def test_money_is_written_in_full_so_that_a_cluster_reads_it() -> None:
    limits = parse_experiment(document("spec.limits.maxCost", "5e2")).spec.limits
    assert limits.document()["maxCost"] == "500"
