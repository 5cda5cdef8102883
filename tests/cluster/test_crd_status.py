"""The status of an experiment on a real API server, and what kubectl shows of it."""

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from cluster_access import ClusterAccess, Kubectl, kubectl_program
from experiments import Document, Experiments, document

from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.status import UNSEEN, Best, RoundStatus, Status, Usage

pytestmark = pytest.mark.cluster


@pytest.fixture
def experiments(control_plane: ClusterAccess, namespace: str) -> Iterator[Experiments]:
    with Experiments(control_plane.kubeconfig, namespace) as some:
        yield some


def told(**more: Any) -> Document:
    """A status as the operator writes it."""
    best = Best(
        round="ticket-s0-l03",
        level=3,
        sparsity=0.9,
        metric=0.97,
        drop=0.011,
        seeds_passed=3,
        seeds=3,
        speedup=1.25,
    )
    status = Status(
        phase="Running",
        reason="RoundsRunning",
        progress="7/12",
        best=best,
        usage=Usage(cost=Decimal("1.50"), currency="USD", spent="1.50 USD"),
        message="5 rounds to go.",
    )
    return status.model_copy(update=more).model_dump(mode="json", by_alias=True)


def test_kubectl_get_prints_the_columns(experiments: Experiments, kubectl: Kubectl) -> None:
    stored = experiments.create(document())
    experiments.replace_status({**stored, "status": told()})
    head, row = kubectl("get", "pex").stdout.splitlines()
    assert head.split() == [
        *("NAME", "PHASE", "PROGRESS", "BEST", "SPARSITY", "DROP", "SPEEDUP", "COST", "AGE")
    ]
    figures = ["trial", "Running", "7/12", "0.9", "0.011", "1.25", "1.50", "USD"]
    assert row.split()[:8] == figures
    wide = kubectl("get", "pex", "-o", "wide").stdout
    assert "RoundsRunning" in wide
    assert "5 rounds to go." in wide
    assert "pruningexperiment.ticketsmith.dev/trial" in kubectl("get", "all").stdout


def test_a_status_leaves_spec_alone_and_spec_leaves_the_status_alone(
    experiments: Experiments,
) -> None:
    stored = experiments.create(document() | {"status": told()})
    assert stored["status"] == {"observedGeneration": UNSEEN}
    told_so = experiments.replace_status(
        {**stored, "spec": {**stored["spec"], "suspend": True}, "status": told()}
    )
    assert "suspend" not in told_so["spec"]
    assert told_so["metadata"]["generation"] == 1
    assert parse_experiment(told_so).status == Status.model_validate(told())


def test_kubectl_get_watch_prints_a_change(
    control_plane: ClusterAccess, namespace: str, experiments: Experiments
) -> None:
    stored = experiments.create(document())
    command = [kubectl_program(), "--kubeconfig", str(control_plane.kubeconfig), "-n", namespace]
    with subprocess.Popen(
        [*command, "get", "pex", "-w"], stdout=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdout is not None
            assert "PHASE" in watching.stdout.readline()
            assert "trial" in watching.stdout.readline()
            experiments.replace_status({**stored, "status": told()})
            assert "7/12" in watching.stdout.readline()
        finally:
            watching.kill()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("spec.limits.maxCost", "Most the rounds may cost"),
        ("spec.training.optimizer.lr", "Peak learning rate"),
        ("spec.runner.env.valueFrom", "Where the value comes from instead"),
        ("status.best.drop", "Quality lost against the same seed's dense round"),
    ],
)
def test_kubectl_explain_shows_the_description(kubectl: Kubectl, path: str, says: str) -> None:
    assert says in " ".join(kubectl("explain", f"pex.{path}").stdout.split())


def test_a_status_of_a_thousand_rounds_is_taken(experiments: Experiments) -> None:
    detail = RoundStatus(
        name="ticket-s0-l03",
        arm="ticket",
        seed=0,
        level=3,
        state="Done",
        attempts=1,
        key="0123456789abcdef",
        sparsity=0.488,
        metrics={"accuracy": 0.9812, "loss": 0.07, "valAccuracy": 0.98, "valLoss": 0.08},
        gate="passed",
        duration_seconds=12.345678,
        cost=Decimal("0.012345"),
    )
    line = "ticket-s0-l03 Dp 0123456789abcdef t12.345678 s0.488123 a0.981234 A0.980123"
    large = told(rounds=(detail,) * 100, ledger=(line,) * 900)
    assert 90_000 < len(json.dumps(large)) < 130_000
    stored = experiments.create(document())
    written = experiments.replace_status({**stored, "status": large})
    assert parse_experiment(written).status == Status.model_validate(large)
