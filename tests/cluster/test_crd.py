"""The CRD on a real API server: what it refuses, what it takes, and what comes back."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from bad_documents import BAD, BAD_NAMES, MODEL
from cluster_access import ClusterAccess, Kubectl
from experiments import Document, Experiments, Refused, document

from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import (
    ArtifactsSpec,
    ExperimentSpec,
    GateSpec,
    LimitsSpec,
    LrScheduleSpec,
    ModelSpec,
    OptimizerSpec,
    PruningSpec,
    SparsitiesSpec,
    TrainingSpec,
)

pytestmark = pytest.mark.cluster

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.fixture
def experiments(control_plane: ClusterAccess, namespace: str) -> Iterator[Experiments]:
    with Experiments(control_plane.kubeconfig, namespace) as some:
        yield some


def test_each_bad_document_is_refused_and_the_field_named(experiments: Experiments) -> None:
    for spec, field in BAD:
        with pytest.raises(Refused) as refused:
            experiments.create(document(**spec), dry_run=True)
        assert field in str(refused.value), spec
    assert len(BAD) >= 40


@pytest.mark.parametrize(
    ("spec", "field"), BAD, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_reader_of_local_files_refuses_the_same(spec: Document, field: str) -> None:
    with pytest.raises(BadSpec) as refused:
        parse_experiment(document(**spec))
    named = str(refused.value).split()[0].rstrip(":")
    assert field.startswith(named) or named.startswith(field)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_label_is_refused(experiments: Experiments, name: str) -> None:
    with pytest.raises(Refused, match=r"metadata\.name"):
        experiments.create(document(name), dry_run=True)
    with pytest.raises(BadSpec, match=r"^metadata\.name"):
        parse_experiment(document(name))


@pytest.mark.parametrize("how", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_kubectl_refuses_a_misspelt_field(kubectl: Kubectl, how: list[str]) -> None:
    misspelt = json.dumps(document(limits={"maxcost": "5.00"}))
    done = kubectl("apply", *how, "-f", "-", input=misspelt, check=False)
    assert done.returncode != 0
    assert "spec.limits.maxcost" in done.stderr


@pytest.mark.parametrize("how", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_every_example_is_applied_and_shows_no_drift(kubectl: Kubectl, how: list[str]) -> None:
    files = [part for file in EXAMPLES for part in ("-f", str(file))]
    for _ in range(2):
        kubectl("apply", *how, *files)
        assert kubectl("diff", *how, *files).stdout == ""
    assert len(kubectl("get", "pex", "-o", "name").stdout.split()) == len(EXAMPLES)
    for file in EXAMPLES:
        here = parse_experiment(yaml.safe_load(file.read_text()))
        there = json.loads(kubectl("get", "pex", file.stem, "-o", "json").stdout)
        assert parse_experiment(there).spec == here.spec


NULLS = document(
    model={**MODEL, "weights": None, "options": {"depth": None}},
    training={"gradientClip": None},
    benchmark=None,
    gates=[{"metric": "loss", "maxDrop": 0.5, "worst": None}],
    limits={"maxCost": None},
    runner={
        "imagePullPolicy": None,
        "tolerations": [{"key": "gpu", "effect": None}, {"operator": "Exists", "key": None}],
    },
    artifacts=None,
)


def test_every_null_keeps_its_meaning(experiments: Experiments, kubectl: Kubectl) -> None:
    told = parse_experiment(NULLS).spec
    assert told.benchmark is None
    assert parse_experiment(experiments.create(NULLS)).spec == told
    kubectl("delete", "pex", "trial")
    kubectl("apply", "--server-side", "-f", "-", input=json.dumps(NULLS))
    assert kubectl("diff", "--server-side", "-f", "-", input=json.dumps(NULLS)).stdout == ""
    stored = json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout)
    assert parse_experiment(stored).spec == told


def test_nothing_to_time_is_also_said_without_null_which_client_side_apply_drops(
    kubectl: Kubectl,
) -> None:
    for _ in range(2):
        kubectl("apply", "-f", "-", input=json.dumps(NULLS))
        assert kubectl("diff", "-f", "-", input=json.dumps(NULLS)).stdout == ""
    lasting = document("lasting", benchmark={"batchSizes": []})
    kubectl("apply", "-f", "-", input=json.dumps(lasting))
    stored = json.loads(kubectl("get", "pex", "lasting", "-o", "json").stdout)
    assert parse_experiment(stored).spec.benchmark is None


SPECS = {
    "all defaults": ExperimentSpec(model=ModelSpec(name="lenet300")),
    "floats that are whole": ExperimentSpec(
        model=ModelSpec(name="x", options={"a": 1.0, "b": [2.0, 0.5], "c": {"d": 1e21}}),
        training=TrainingSpec(gradient_clip=1.0, optimizer=OptimizerSpec(lr=1.0, weight_decay=0.0)),
        pruning=PruningSpec(rate_factors={"fc3": 1.0, "fc2": 0.0}),
        gates=(GateSpec(metric="loss", max_drop=1.0, worst=2.0),),
    ),
    "floats that are not": ExperimentSpec(
        model=ModelSpec(name="x"),
        training=TrainingSpec(optimizer=OptimizerSpec(name="sgd", lr=1e-7, momentum=1 / 3)),
        sparsities=SparsitiesSpec(targets=(0.1, 0.1 + 1e-15, 0.30000000000000004, 1 - 1e-12)),
    ),
    "nothing that is optional": ExperimentSpec(
        model=ModelSpec(name="x"), controls=(), gates=(), benchmark=None, seeds=(2**31 - 1,)
    ),
    "money": ExperimentSpec(
        model=ModelSpec(name="x"),
        limits=LimitsSpec(max_cost=Decimal("5E+2"), max_gpu_hours=Decimal("12345678.000001")),
    ),
    "durations": ExperimentSpec.model_validate(
        {
            "model": {"name": "x"},
            "training": {"duration": "10ep50it", "evaluateEvery": "007it"},
            "pruning": {"rewind": "0ep3it"},
        }
    ),
    "words of any script": ExperimentSpec(
        model=ModelSpec(name="modèle", options={"größe": "1", "": None, "語": [None, True]}),
        artifacts=ArtifactsSpec(uri="file:///データ"),
        training=TrainingSpec(
            lr_schedule=LrScheduleSpec.model_validate({"name": "step", "milestones": ["5ep", "9ep"]})
        ),
    ),
    "a whole runner": ExperimentSpec.model_validate(
        {
            "model": {"name": "x"},
            "suspend": True,
            "runner": {
                "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "16Gi", "cpu": "500m"}},
                "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}],
                "env": [
                    {"name": "A", "value": ""},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
                "volumes": [{"name": "data", "mountPath": "/data", "persistentVolumeClaim": "sets"}],
            },
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPECS)
def test_a_spec_reads_back_equal_and_may_be_applied_again(
    experiments: Experiments, kubectl: Kubectl, what: str
) -> None:
    spec = SPECS[what]
    body = {**document(), "spec": spec.document()}
    assert parse_experiment(experiments.create(body)).spec == spec
    for _ in range(2):
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(body))
    stored = json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout)
    assert parse_experiment(stored).spec == spec


@pytest.mark.parametrize(
    ("money", "good"),
    [
        *((money, True) for money in ("5", 5, "0.000001", "12345678", "007.50")),
        *((money, False) for money in ("123456789", "1.0000001", "-1", "", "five")),
    ],
)
def test_money_is_read_alike_on_a_cluster_and_locally(
    experiments: Experiments, money: str | int, good: bool
) -> None:
    asked = document(limits={"maxCost": money})
    if good:
        assert parse_experiment(experiments.create(asked)) is not None
        parse_experiment(asked)
        return
    with pytest.raises(Refused, match=r"spec\.limits\.maxCost"):
        experiments.create(asked)
    with pytest.raises(BadSpec, match=r"^spec\.limits\.maxCost"):
        parse_experiment(asked)
