"""/metrics, /healthz and /readyz of a live operator."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl, eventually
from misbehaviour import Exit, Script
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse
from simulated_answer import plausible_answer

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
PRICES = {
    "currency": "USD",
    "prices": [
        {"match": {}, "accelerator": "nvidia-l4", "capacity": "spot", "hourlyPerGpu": "3600"}
    ],
}
EXPERIMENT: dict[str, Any] = {
    "apiVersion": "ticketsmith.dev/v1alpha1",
    "kind": "PruningExperiment",
    "metadata": {"name": "trial"},
    "spec": {
        "model": {"name": "lenet300"},
        "training": {"duration": "1ep"},
        "sparsities": {"targets": [0.5]},
        "controls": ["random"],
        "seeds": [0],
        "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
        "benchmark": {"batchSizes": [1, 32]},
        "limits": {"maxCost": "100000", "maxGpuHours": "10", "deadlineSeconds": 86400},
        "runner": {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        "artifacts": {"uri": "gs://bucket/prefix"},
    },
}


@pytest.fixture
def node(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[ProcessKubelet]:
    """Its rounds take over a second: kubelets tell times in whole ones. The first try at the ticket fails, and the
    first at its control ends well without an answer."""
    with ProcessKubelet(
        experiments_crd.kubeconfig,
        tmp_path,
        simulate=plausible_answer,
        seconds=1.1,
        script=Script(
            {
                ("ticket-s0-l01", 1): [Exit(1, "boom", after=1.1)],
                ("random-s0-l01", 1): [Exit(0, "all is well", after=1.1)],
            }
        ),
    ) as kubelet:
        yield kubelet


def families(operator: OperatorProcess) -> dict[str, Metric]:
    """What /metrics shows, by the name that docs/metrics.md uses."""
    status, text = operator.read("/metrics")
    assert status == 200, text
    return {f.name + ("_total" if f.type == "counter" else ""): f for f in parse(text)}


def values(family: Metric, label: str) -> Mapping[str, float]:
    """Sum of a family's samples by one of their labels."""
    sums: dict[str, float] = {}
    for sample in family.samples:
        sums[sample.labels[label]] = sums.get(sample.labels[label], 0.0) + sample.value
    return sums


def test_a_live_operator_shows_what_the_page_says_and_what_the_status_says(
    experiments_crd: ClusterAccess,
    namespace: str,
    kubectl: Kubectl,
    node: ProcessKubelet,
    tmp_path: Path,
) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump(PRICES))
    with OperatorProcess(experiments_crd.kubeconfig, [namespace], prices=prices) as operator:
        operator.wait_ready()
        kubectl("apply", "-f", "-", input=json.dumps(EXPERIMENT))

        def status() -> dict[str, Any]:
            return dict(
                json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout).get("status", {})
            )

        eventually(lambda: status().get("phase") in ("Succeeded", "Failed"), "it ends")
        ended = status()
        assert ended["phase"] == "Succeeded", ended
        eventually(
            lambda: (
                values(families(operator)["ticketsmith_experiments"], "phase")["Succeeded"] == 1
            ),
            "the operator has seen that",
        )
        shown = families(operator)

        described = set(re.findall(r"^### `(\w+)`$", DOCS.read_text(), re.M))
        assert shown.keys() == described
        # Zeros stored densely run no faster: a speedup that was not measured is not shown.
        silent = {name for name, family in shown.items() if not family.samples}
        assert silent == {
            "ticketsmith_experiment_speedup_ratio",
            "ticketsmith_experiment_round_pending_seconds",
        }

        rounds = shown["ticketsmith_rounds_total"]
        assert values(rounds, "outcome") == {"done": 5, "retried": 2, "failed": 0}
        assert values(rounds, "arm") == {
            "dense": 1, "ticket": 2, "random": 2, "reinit": 0, "benchmark": 1, "report": 1,
        }  # fmt: skip
        [cost] = shown["ticketsmith_cost_total"].samples
        where = {"namespace": namespace, "accelerator": "nvidia-l4", "capacity": "spot"}
        assert cost.labels == where | {"currency": "USD"}
        assert cost.value == pytest.approx(float(Decimal(str(ended["usage"]["cost"]))))
        [seconds] = shown["ticketsmith_gpu_seconds_total"].samples
        assert seconds.labels == where
        assert seconds.value == pytest.approx(ended["usage"]["gpuSeconds"])
        [lost] = shown["ticketsmith_wasted_cost_total"].samples
        [lost_seconds] = shown["ticketsmith_wasted_gpu_seconds_total"].samples
        assert lost.labels == cost.labels
        # Two attempts of seven failed, and they all took about as long; a second costs 1 USD.
        assert 0 < lost_seconds.value < seconds.value / 2
        assert lost.value == pytest.approx(lost_seconds.value)
        assert values(shown["ticketsmith_answers_missing_total"], "namespace") == {namespace: 1}
        gates = values(shown["ticketsmith_gate_evaluations_total"], "outcome")
        assert gates == {"passed": 2}
        throughput = shown["ticketsmith_experiment_throughput_samples_per_second"]
        assert values(throughput, "batch_size") == {"1": 1000.0, "32": 32000.0}
        [progress] = shown["ticketsmith_experiment_progress_ratio"].samples
        assert (progress.labels, progress.value) == ({"namespace": namespace, "name": "trial"}, 1.0)
        levels = shown["ticketsmith_experiment_level_quality"].samples
        arms = sorted((s.labels["arm"], s.labels["level"]) for s in levels)
        assert arms == [("dense", "0"), ("random", "1"), ("ticket", "1")]
        writes = values(shown["ticketsmith_api_writes_total"], "resource")
        assert writes["jobs"] == 7

        kubectl("delete", "pex", "trial")
        eventually(
            lambda: not families(operator)["ticketsmith_experiment_cost"].samples,
            "the deleted experiment is gone from the page",
        )
        assert values(families(operator)["ticketsmith_rounds_total"], "outcome")["done"] == 5


def test_a_stalled_resync_is_told_to_the_kubelet(
    control_plane: ClusterAccess, namespace: str
) -> None:
    with OperatorProcess(control_plane.kubeconfig, [namespace], resync_seconds=1) as operator:
        operator.wait_ready()
        assert operator.read("/healthz")[0] == 200
        control_plane.stop_api_server()
        try:
            eventually(lambda: operator.read("/healthz")[0] == 503, "it calls itself stalled")
            assert "No resync was finished" in operator.read("/healthz")[1]
            assert operator.read("/readyz")[0] == 200
        finally:
            control_plane.start_api_server()
        eventually(lambda: operator.read("/healthz")[0] == 200, "it is well again")
