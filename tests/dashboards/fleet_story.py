"""A fleet that gives every panel of the dashboards something to show, watched by a real Prometheus.

The control plane and the operator are real; rounds are pretended by nodes that answer as told here.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml
from control_plane import ControlPlane
from misbehaviour import Behaviour, Delay, Exit, Hang, Oom, answer
from operator_process import OperatorProcess
from pod_history import identity
from process_kubelet import ProcessKubelet
from prometheus import Prometheus
from simulated_answer import plausible_answer

from ticketsmith.experiment.contract import (
    BenchmarkRound,
    ReportRound,
    RoundResult,
    Timing,
    TrainRound,
)
from ticketsmith_operator.names import EXPERIMENT_LABEL

CRDS: Final = Path(__file__).parents[2] / "crds"
JOB: Final = "ticketsmith-operator"
LANGUAGE, VISION = NAMESPACES = ("language", "vision")
_ACCELERATOR: Final = "cloud.google.com/gke-accelerator"
_PRICES: Final = {
    "currency": "USD",
    "prices": [
        {"match": {_ACCELERATOR: "l4"}, "accelerator": "nvidia-l4", "capacity": "spot", "hourlyPerGpu": "120"},
        {"match": {_ACCELERATOR: "t4"}, "accelerator": "nvidia-tesla-t4", "hourlyPerGpu": "60"},
        {"match": {_ACCELERATOR: "a100"}, "accelerator": "nvidia-a100", "hourlyPerGpu": "400"},
    ],
}  # fmt: skip
"""Made up, so that rounds of a second cost cents."""
_NODES: Final = {"l4": 8, "t4": 4, "a100": 2}
"""GPUs of each node."""

CURVE: Final = "mnist-lenet300"
STRICT: Final = "strict-gate"
FLAKY: Final = "flaky-node"
BROKEN: Final = "diverging"
WAITING: Final = "full-node"
QUICK: Final = "one-seed"
_MISBEHAVIOUR: Final[Mapping[tuple[str, str, int], Behaviour]] = {
    (CURVE, "report", 1): Hang(),
    (FLAKY, "dense-s0", 1): Exit(1, "CUDA error: an illegal memory access", after=1.1),
    (FLAKY, "ticket-s0-l01", 1): Oom(after=0.9),
    (FLAKY, "ticket-s0-l02", 1): answer(""),
    (BROKEN, "dense-s0", 1): Exit(3, "loss is NaN at step 812, first in fc1.weight", after=1.1),
    (WAITING, "ticket-s0-l01", 1): Hang(),
    (WAITING, "ticket-s1-l01", 1): Hang(),
    (WAITING, "ticket-s2-l01", 1): Hang(),
}
"""By experiment, round and attempt. Of WAITING's three seeds two fill its node, whichever they are: the third waits."""


def document(name: str, node: str, **spec: Any) -> dict[str, Any]:
    """An experiment whose rounds ask for one GPU of that node."""
    base = {
        "model": {"name": "lenet300"},
        "sparsities": {"targets": [0.5, 0.8, 0.9]},
        "controls": [],
        "seeds": [0],
        "gates": [{"metric": "accuracy", "maxDrop": 0.05}],
        "benchmark": None,
        "limits": {"parallelism": 4, "retries": 2, "maxCost": "20.00", "deadlineSeconds": 3600},
        "runner": {
            "nodeSelector": {_ACCELERATOR: node},
            "resources": {"limits": {"nvidia.com/gpu": 1}},
        },
        "artifacts": {"uri": "gs://nowhere/tests"},
    }
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def first(parallelism: int) -> dict[str, list[dict[str, Any]]]:
    """What is applied at first, by namespace; the largest of them runs so many rounds at once."""
    limits = {"maxCost": "10.00", "maxGpuHours": "1", "deadlineSeconds": 600}
    curve = document(
        CURVE,
        "l4",
        sparsities={"targets": [0.5, 0.8, 0.9, 0.95, 0.98]},
        controls=["reinit", "random"],
        seeds=[0, 1],
        benchmark={"batchSizes": [1, 32, 256]},
        limits=limits | {"parallelism": parallelism},
    )
    too_strict = [{"metric": "accuracy", "maxDrop": 0.00001}]
    return {
        VISION: [curve, document(STRICT, "l4", gates=too_strict, seeds=[0, 1])],
        LANGUAGE: [
            document(FLAKY, "t4"),
            document(BROKEN, "t4"),
            document(WAITING, "a100", seeds=[0, 1, 2], controls=["reinit"]),
        ],
    }


_ENDINGS: Final = {STRICT: "Failed", FLAKY: "Succeeded", BROKEN: "Failed"}


def answer_of(told: TrainRound | BenchmarkRound | ReportRound) -> RoundResult:
    """Plausible: a random mask is the worst, and the benchmark measured a speedup of the tickets."""
    if isinstance(told, TrainRound) and told.arm == "random":
        answered = plausible_answer(told)
        worse = {"accuracy": answered.metrics["accuracy"] - 0.008 * told.sparsity}
        return answered.model_copy(update={"metrics": {**answered.metrics, **worse}})
    if not isinstance(told, BenchmarkRound):
        return plausible_answer(told)
    timings = tuple(
        Timing(
            round=key,
            batch_size=size,
            path="dense" if ratio == 1 else "compacted",
            p50_ms=(0.6 + 0.02 * size) / ratio,
            p95_ms=(0.7 + 0.02 * size) / ratio,
            speedup=ratio,
            low=ratio - 0.04,
            high=ratio + 0.04,
        )
        for key, ratio in ((told.dense, 1.0), *((ticket, 1.8) for ticket in told.tickets))
        for size in told.benchmark.batch_sizes
    )
    return RoundResult(key=told.key, arm="benchmark", timings=timings)


class FleetStory:
    """The fleet, from the beginning of a `with` block to its end.

    A round takes `seconds`, `parallelism` is that of the largest experiment, and what `more` says is done by further
    Pods: by experiment, round and attempt.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float = 1.1,
        parallelism: int = 8,
        more: Mapping[tuple[str, str, int], Behaviour] | None = None,
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._first = first(parallelism)
        self._misbehaviour = {**_MISBEHAVIOUR, **(more or {})}
        self._running = contextlib.ExitStack()
        self.began = time.time()

    def __enter__(self) -> "FleetStory":
        with contextlib.ExitStack() as starting:
            self.cluster = starting.enter_context(ControlPlane(self._folder))
            self.cluster.install_crds(CRDS)
            for namespace in self._first:
                self.cluster.make_namespace(namespace)
            self.prometheus = starting.enter_context(Prometheus(self._folder / "prometheus"))
            self.operator = self._start_operator()
            starting.push(lambda *_: self.operator.terminate())
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def begin(self) -> None:
        """Apply the first experiments, and let nodes join once Prometheus has seen their Jobs: whatever ends does so
        after the counters were read at zero."""
        for namespace, documents in self._first.items():
            self.apply(namespace, *documents)
        every = sum(len(documents) for documents in self._first.values())
        self.prometheus.wait_until(f"sum(ticketsmith_experiments{{phase='Running'}}) == {every}")
        self.prometheus.wait_until("sum(ticketsmith_rounds_in_progress{state='pending'}) >= 8")
        for name, gpus in _NODES.items():
            kubelet = ProcessKubelet(
                self.cluster.kubeconfig,
                self._folder / "pods",
                script=self._behaviour,
                simulate=answer_of,
                seconds=self._seconds,
                labels={_ACCELERATOR: name},
                gpus=gpus,
                longest_grace=0.2,
            )
            self._running.enter_context(kubelet)

    def middle(self) -> None:
        """Until the first experiments are where they stay: ended, held at their report, or waiting for a node."""
        for name, phase in _ENDINGS.items():
            self.wait_phase(name, phase)
        self.prometheus.wait_until(f"ticketsmith_experiment_speedup_ratio{{name='{CURVE}'}}")
        self.prometheus.wait_until(
            "ticketsmith_rounds_in_progress{namespace='language',state='pending'} == 1"
        )
        self.prometheus.wait_until(
            "ticketsmith_rounds_in_progress{namespace='language',state='running'} == 2"
        )

    def restart_operator(self) -> None:
        """Another operator takes its place, as when its Pod is replaced: its counters begin at zero."""
        self.operator.kill()
        self.operator = self._start_operator()

    def end(self) -> None:
        """One more experiment, from beginning to end."""
        self.apply(VISION, document(QUICK, "l4", benchmark={"batchSizes": [1]}))
        self.wait_phase(QUICK, "Succeeded")
        # A curve's last point may lie a step before its end.
        ended = f"ticketsmith_experiment_phase{{name='{QUICK}',phase='Succeeded'}}"
        self.prometheus.wait_until(f"{ended} offset 3s")

    def apply(self, namespace: str, *documents: Mapping[str, Any]) -> None:
        """Create experiments."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(listed))

    def wait_phase(self, name: str, phase: str) -> None:
        """Wait until Prometheus knows that experiment to be in that phase."""
        self.prometheus.wait_until(f"ticketsmith_experiment_phase{{name='{name}',phase='{phase}'}}")

    def statuses(self) -> list[dict[str, Any]]:
        """The statuses of all experiments that exist."""
        path = "/apis/ticketsmith.dev/v1alpha1/pruningexperiments"
        return [one["status"] for one in self.cluster.read(path)["items"]]

    def spent(self) -> Decimal:
        """What all of them cost, by their statuses."""
        return sum((Decimal(str(one["usage"]["cost"])) for one in self.statuses()), Decimal(0))

    def _start_operator(self) -> OperatorProcess:
        prices = self._folder / "prices.yaml"
        prices.write_text(yaml.safe_dump(_PRICES))
        operator = OperatorProcess(
            self.cluster.kubeconfig, prices=prices, resync_seconds=5, missing_grace_seconds=1
        )
        try:
            operator.wait_ready()
            self.prometheus.scrape(JOB, operator.url)
            address = operator.url.removeprefix("http://")
            self.prometheus.wait_until(f"up{{job='{JOB}',instance='{address}'}} == 1")
        except BaseException:
            operator.terminate()
            raise
        return operator

    def _behaviour(self, pod: Mapping[str, Any]) -> Behaviour:
        _, round_, attempt = identity(pod)
        experiment = pod["metadata"].get("labels", {}).get(EXPERIMENT_LABEL)
        return self._misbehaviour.get((experiment, round_, attempt), Delay(0.0))
