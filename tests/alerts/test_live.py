"""The chart's alerts in a real Prometheus that scrapes a real operator: they fire, and they resolve."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_rules import made
from cluster_access import eventually
from control_plane import ControlPlane
from misbehaviour import Behaviour, Delay, Exit
from operator_process import OperatorProcess
from pod_history import identity
from process_kubelet import ProcessKubelet
from prometheus import Prometheus
from simulated_answer import plausible_answer

from ticketsmith_operator.names import EXPERIMENT_LABEL

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

CRDS = Path(__file__).parents[2] / "crds"
JOB = "ticketsmith-operator"
VISION, LANGUAGE = "vision", "language"
PRICES = {
    "currency": "USD",
    "prices": [{"accelerator": "nvidia-l4", "capacity": "spot", "hourlyPerGpu": "3600"}],
}
"""A GPU costs 1 USD a second."""


def experiment(name: str, **limits: Any) -> dict[str, Any]:
    """Four seeds, each dense and at one level; a round takes a GPU for a little over a second."""
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": {
            "model": {"name": "lenet300"},
            "sparsities": {"targets": [0.5]},
            "controls": [],
            "seeds": [0, 1, 2, 3],
            "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
            "benchmark": None,
            "limits": {"parallelism": 4, **limits},
            "runner": {"resources": {"limits": {"nvidia.com/gpu": 1}}},
            "artifacts": {"uri": "gs://nowhere/tests"},
        },
    }


class Stage:
    """A cluster, a Prometheus with the chart's alerts, and an operator that it scrapes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.crash = True
        """Whether rounds of the experiment `flaky` crash."""
        self._running = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        with contextlib.ExitStack() as starting:
            self.cluster = starting.enter_context(ControlPlane(self.folder))
            self.cluster.install_crds(CRDS)
            for namespace in (VISION, LANGUAGE):
                self.cluster.make_namespace(namespace)
            rules = self._rules()
            watching = Prometheus(self.folder / "prometheus", rules=[rules])
            self.prometheus = starting.enter_context(watching)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @contextlib.contextmanager
    def operator(self) -> Iterator[OperatorProcess]:
        """An operator that is scraped."""
        prices = self.folder / "prices.yaml"
        prices.write_text(yaml.safe_dump(PRICES))
        with OperatorProcess(self.cluster.kubeconfig, prices=prices) as operator:
            operator.wait_ready()
            self.prometheus.scrape(JOB, operator.url)
            yield operator

    def join_node(self) -> None:
        """A node with GPUs joins."""
        node = ProcessKubelet(
            self.cluster.kubeconfig,
            self.folder / "pods",
            script=self._behaviour,
            simulate=plausible_answer,
            seconds=1.1,
        )
        self._running.enter_context(node)

    def apply(self, namespace: str, document: Mapping[str, Any]) -> None:
        self.cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(document))

    def wait_firing(self, alert: str, **labels: str) -> str:
        """Wait until this alert fires with these labels; its summary."""
        eventually(lambda: bool(self._firing(alert, labels)), f"{alert} fires")
        return str(self._firing(alert, labels)[0]["annotations"]["summary"])

    def wait_resolved(self, alert: str, **labels: str) -> None:
        """Wait until no such alert fires."""
        eventually(lambda: not self._firing(alert, labels), f"{alert} resolves")

    def _firing(self, alert: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        wanted = {"alertname": alert, **labels}.items()
        return [
            one
            for one in self.prometheus.alerts()
            if one["state"] == "firing" and wanted <= one["labels"].items()
        ]

    def _rules(self) -> Path:
        """The chart's, in a hurry."""
        groups = made(failedAttemptsWindow="40s", roundPendingMinutes=0.05)
        for group in groups["groups"]:
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "1s"
        file = self.folder / "rules.yaml"
        file.write_text(yaml.safe_dump(groups))
        return file

    def _behaviour(self, pod: Mapping[str, Any]) -> Behaviour:
        _, round_, _ = identity(pod)
        is_flaky = pod["metadata"]["labels"].get(EXPERIMENT_LABEL) == "flaky"
        if is_flaky and self.crash and round_ == "dense-s0":
            return Exit(1, "CUDA error", after=1.1)
        return Delay(0.0)


def test_alerts_fire_and_resolve(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        with stage.operator():
            stage.wait_resolved("TicketSmithOperatorDown")
            stage.apply(VISION, experiment("costly", maxCost="3"))
            stage.apply(LANGUAGE, experiment("flaky", parallelism=1, retries=100))

            waits = stage.wait_firing("TicketSmithRoundPending", namespace=VISION, name="costly")
            assert waits.startswith("A round of vision/costly has waited for ")
            stage.join_node()
            stage.wait_resolved("TicketSmithRoundPending")

            # Four dense rounds start at once, since nobody knows yet how long one takes.
            budget = {"namespace": VISION, "name": "costly", "limit": "maxCost"}
            spent = stage.wait_firing("TicketSmithBudgetSpent", **budget)
            assert spent.startswith("vision/costly has used 1")
            stage.apply(VISION, experiment("costly", maxCost="30"))
            stage.wait_resolved("TicketSmithBudgetSpent")

            stage.wait_firing("TicketSmithRoundsFailing", namespace=LANGUAGE)
            stage.crash = False
            stage.wait_resolved("TicketSmithRoundsFailing")
        stage.wait_firing("TicketSmithOperatorDown")
        with stage.operator():
            stage.wait_resolved("TicketSmithOperatorDown")
        others = {one["labels"]["alertname"] for one in stage.prometheus.alerts()}
        assert not others - {"TicketSmithOperatorDown"}
