"""Leadership on a real API server: one acts, and another takes over."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess, Kubectl, eventually
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

from ticketsmith_operator.controller.leadership import Leadership
from ticketsmith_operator.kube.client import ApiKube

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

LEASE = "ticketsmith-operator"
EXPERIMENT: dict[str, Any] = {
    "apiVersion": "ticketsmith.dev/v1alpha1",
    "kind": "PruningExperiment",
    "metadata": {"name": "trial"},
    "spec": {
        "model": {"name": "lenet300"},
        "training": {"duration": "1ep"},
        "sparsities": {"targets": [0.5, 0.6, 0.7, 0.8]},
        "controls": [],
        "seeds": [0, 1],
        "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
        "artifacts": {"uri": "gs://bucket/prefix"},
    },
}


def test_two_take_turns_at_one_lease(
    control_plane: ClusterAccess, namespace: str, kubectl: Kubectl
) -> None:
    async def story() -> None:
        configuration = Configuration()
        await config.load_kube_config(
            str(control_plane.kubeconfig), client_configuration=configuration
        )
        kube = ApiKube(configuration)
        one = Leadership(kube, namespace, LEASE, "one", 10.0)
        two = Leadership(kube, namespace, LEASE, "two", 10.0)
        try:
            first = asyncio.create_task(one.run())
            await one.wait_to_lead()
            second = asyncio.create_task(two.run())
            await two.turn()
            assert (one.leads, two.leads) == (True, False)
            await _end(first)
            await two.wait_to_lead()
            assert not one.leads
            await _end(second)
        finally:
            await kube.close()

    asyncio.run(story())
    spec = json.loads(kubectl("get", "lease", LEASE, "-o", "json").stdout)["spec"]
    assert spec["leaseTransitions"] == 1
    assert not spec.get("holderIdentity")


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def node(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[ProcessKubelet]:
    with ProcessKubelet(
        experiments_crd.kubeconfig, tmp_path, simulate=plausible_answer, seconds=0.3
    ) as kubelet:
        yield kubelet


def test_one_that_stands_by_finishes_what_a_killed_leader_began(
    experiments_crd: ClusterAccess, namespace: str, kubectl: Kubectl, node: ProcessKubelet
) -> None:
    flags = {"leader_election": True, "lease_namespace": namespace, "lease_seconds": 3}
    with (
        OperatorProcess(experiments_crd.kubeconfig, [namespace], **flags) as leader,
        OperatorProcess(experiments_crd.kubeconfig, [namespace], **flags) as other,
    ):
        for operator in (leader, other):
            operator.wait_ready()
        eventually(lambda: _leads(leader) or _leads(other), "one of them leads")
        if _leads(other):
            leader, other = other, leader
        kubectl("apply", "-f", "-", input=json.dumps(EXPERIMENT))
        eventually(lambda: len(node.history) > 2, "rounds run")
        assert not _leads(other)
        leader.kill()
        eventually(lambda: _phase(kubectl) == "Succeeded", "the experiment succeeds")
        assert _leads(other)
        status, _ = other.read("/healthz")
        assert status == 200
    assert node.overlaps() == []
    assert len(node.history) == 12
    lease = json.loads(kubectl("get", "lease", LEASE, "-o", "json").stdout)
    assert not lease["spec"].get("holderIdentity")


def _leads(operator: OperatorProcess) -> bool:
    said = [line["message"] for line in operator.log_lines() if "leading" in line["message"]]
    return bool(said) and said[-1] == "leading"


def _phase(kubectl: Kubectl) -> str | None:
    found = json.loads(kubectl("get", "pex", "trial", "-o", "json").stdout)
    phase: str | None = found.get("status", {}).get("phase")
    return phase
