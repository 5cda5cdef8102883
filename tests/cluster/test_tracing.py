"""Traces of a live operator, received as a collector receives them."""

import json
import socket
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess, Kubectl, eventually
from misbehaviour import Exit, Script
from operator_process import OperatorProcess
from otlp_receiver import OtlpReceiver, values
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

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
        "benchmark": None,
        "runner": {"env": [{"name": "PASSWORD", "value": "hunter2"}]},
        "artifacts": {"uri": "gs://bucket/prefix"},
    },
}


@pytest.fixture
def node(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[ProcessKubelet]:
    """The first try at the ticket fails, with words that are nobody's business."""
    with ProcessKubelet(
        experiments_crd.kubeconfig,
        tmp_path,
        simulate=plausible_answer,
        seconds=0.5,
        script=Script({("ticket-s0-l01", 1): [Exit(1, "token=hunter2", after=1.1)]}),
    ) as kubelet:
        yield kubelet


def status(kubectl: Kubectl) -> dict[str, Any]:
    return dict(json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout).get("status", {}))


def test_two_operators_one_after_the_other_tell_one_trace(
    experiments_crd: ClusterAccess,
    namespace: str,
    kubectl: Kubectl,
    node: ProcessKubelet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=sesame")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=trial-cluster")
    with OtlpReceiver() as receiver:
        place = (experiments_crd.kubeconfig, [namespace])
        with OperatorProcess(*place, traces_endpoint=receiver.url) as first:
            first.wait_ready()
            kubectl("apply", "--server-side", "-f", "-", input=json.dumps(EXPERIMENT))
            eventually(lambda: receiver.spans, "the dense round is told")
            assert first.terminate() == 0
        with OperatorProcess(*place, traces_endpoint=receiver.url) as second:
            second.wait_ready()
            eventually(lambda: status(kubectl).get("phase") == "Succeeded", "it ends")
            eventually(lambda: "experiment" in [s.name for s in receiver.spans], "its end is told")
            assert second.terminate() == 0
        # Both have gone, so nothing more will come.
        spans, ended = receiver.spans, status(kubectl)
    uid = json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout)["metadata"]["uid"]
    assert {span.trace_id for span in spans} == {uuid.UUID(uid).bytes}
    assert len({span.span_id for span in spans}) == len(spans)
    by_id = {span.span_id: span for span in spans}
    [root] = [span for span in spans if not span.parent_span_id]
    assert root.name == "experiment"

    rounds = {span.name: span for span in spans if span.parent_span_id == root.span_id}
    known = {one["name"]: one for one in ended["rounds"]}
    assert rounds.keys() == known.keys()
    for name, span in rounds.items():
        told = values(span.attributes)
        assert told["ticketsmith.outcome"] == "done"
        assert told["ticketsmith.key"] == known[name]["key"]
        assert told["ticketsmith.work_seconds"] == known[name]["durationSeconds"]
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    attempts = [by_id[s.span_id] for s in spans if s.name == "attempt"]
    assert {by_id[span.parent_span_id].name for span in attempts} == {"ticket-s0-l01"}
    outcomes = [values(span.attributes)["ticketsmith.outcome"] for span in attempts]
    assert sorted(map(str, outcomes)) == ["done", "retried"]

    assert unix(ended["startedAt"]) == pytest.approx(root.start_time_unix_nano / 1e9, abs=1e-5)
    assert unix(ended["finishedAt"]) == pytest.approx(root.end_time_unix_nano / 1e9, abs=1e-5)
    assert values(root.attributes)["k8s.namespace.name"] == namespace
    assert receiver.headers[0]["api-key"] == "sesame"
    named = {"service.name": "ticketsmith-operator", "k8s.cluster.name": "trial-cluster"}
    assert all(named.items() <= one.items() for one in receiver.resources)
    everything = "".join(map(str, receiver.requests))
    assert "hunter2" not in everything
    assert "sesame" not in everything


def test_a_collector_that_is_away_holds_up_nothing(
    experiments_crd: ClusterAccess,
    namespace: str,
    kubectl: Kubectl,
    node: ProcessKubelet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with OperatorProcess(
            experiments_crd.kubeconfig, [namespace], traces_endpoint=nobody
        ) as operator:
            operator.wait_ready()
            kubectl("apply", "--server-side", "-f", "-", input=json.dumps(EXPERIMENT))
            eventually(lambda: status(kubectl).get("phase") == "Succeeded", "it ends")
            said = json.dumps(operator.log_lines())
            assert operator.terminate() == 0
    assert "opentelemetry" in said
    assert '"level": "ERROR", "logger": "ticketsmith_operator' not in said


def unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
