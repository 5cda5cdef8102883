"""What of an experiment may change once it is there, and what may not, on a real API server."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from bad_documents import MODEL
from cluster_access import ClusterAccess
from experiments import Document, Experiments, Refused, document
from generate import transitions

from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith_operator.crd.rules import IMMUTABLE

pytestmark = pytest.mark.cluster


@pytest.fixture
def experiments(control_plane: ClusterAccess, namespace: str) -> Iterator[Experiments]:
    with Experiments(control_plane.kubeconfig, namespace) as some:
        yield some


STARTED: Document = {
    "model": {**MODEL, "options": {"depth": 3, "wide": True}},
    "dataset": {"name": "digits"},
    "training": {"duration": "20ep"},
    "pruning": {"score": "magnitude"},
    "sparsities": {"targets": [0.5, 0.8]},
    "controls": ["random"],
    "seeds": [0, 1],
    "gates": [{"metric": "accuracy", "maxDrop": 0.02}],
    "benchmark": {"batchSizes": [1]},
    "artifacts": {"uri": "gs://bucket/prefix"},
}
CHANGED: Document = {
    "model": {**MODEL, "options": {"depth": 4, "wide": True}},
    "dataset": {"name": "mnist"},
    "training": {"duration": "21ep"},
    "pruning": {"score": "random"},
    "sparsities": {"targets": [0.5, 0.9]},
    "controls": [],
    "seeds": [1, 0],
    "gates": [],
    "benchmark": None,
    "artifacts": {"uri": "gs://bucket/elsewhere"},
}


@pytest.mark.parametrize("field", IMMUTABLE)
def test_what_decides_results_cannot_change_be_added_or_be_removed(
    experiments: Experiments, field: str
) -> None:
    says = rf"spec\.{field}.*{field} cannot change, .*make a new experiment"
    with_it = experiments.create(document("with", **STARTED))
    with_it["spec"][field] = CHANGED[field]
    with pytest.raises(Refused, match=says):
        experiments.replace(with_it)
    del with_it["spec"][field]
    with pytest.raises(Refused, match=r"spec\.model: Required" if field == "model" else says):
        experiments.replace(with_it)
    if field == "model":
        return
    others = {name: value for name, value in STARTED.items() if name != field}
    without = experiments.create(document("without", **others))
    without["spec"][field] = STARTED[field]
    with pytest.raises(Refused, match=says):
        experiments.replace(without)


def test_dropping_a_null_benchmark_is_a_change_too(experiments: Experiments) -> None:
    stored = experiments.create(document(benchmark=None))
    del stored["spec"]["benchmark"]
    with pytest.raises(Refused, match="benchmark cannot change"):
        experiments.replace(stored)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("suspend", True),
        ("suspend", False),
        ("limits", {"maxCost": "9.50", "parallelism": 2}),
        ("limits", {"deadlineSeconds": 60}),
        ("limits", {}),
        ("runner", {"image": "ghcr.io/a/b:2", "resources": {"limits": {"nvidia.com/gpu": 1}}}),
        ("runner", {"nodeSelector": {"zone": "a"}, "tolerations": [{"operator": "Exists"}]}),
    ],
)
def test_what_is_spent_and_where_it_runs_may_change(
    experiments: Experiments, field: str, value: Any
) -> None:
    stored = experiments.create(document(**STARTED))
    stored["spec"][field] = value
    changed = experiments.replace(stored)
    assert changed["metadata"]["generation"] == 2
    del changed["spec"][field]
    assert field not in experiments.replace(changed)["spec"]


def test_an_unchanged_document_may_be_sent_again(experiments: Experiments) -> None:
    stored = experiments.create(document(**STARTED))
    again = experiments.replace({**document(**STARTED), "metadata": stored["metadata"]})
    assert again["metadata"]["generation"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_generated_changes_are_taken_or_refused_as_foretold(
    experiments: Experiments, seed: int
) -> None:
    stored = experiments.create(document(**STARTED))
    counted = {True: 0, False: 0, None: 0}
    for change in islice(transitions(seed, stored["spec"]), 300):
        asked = {**stored, "spec": change.apply(stored["spec"])}
        refusal = None
        try:
            stored = experiments.replace(asked)
        except Refused as refused:
            refusal = str(refused)
        assert change.valid is None or change.valid is (refusal is None), (change, refusal)
        ExperimentSpec.model_validate_json(json.dumps(stored["spec"]), strict=True)
        counted[change.valid] += 1
    assert min(counted.values()) > 10
