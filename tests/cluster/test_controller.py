"""The controller against a real API server: whole stories, with a node that only pretends to work."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl, eventually
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster" / "operator.yaml"
TROUBLE = {"warning", "error", "critical"}
T4 = {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}
PRICES = """
currency: USD
prices:
- match: {cloud.google.com/gke-accelerator: nvidia-tesla-t4}
  accelerator: t4
  capacity: spot
  hourlyPerGpu: "0.11"
  hourlyPerPod: "0.02"
"""
SPEC: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "training": {"duration": "1ep"},
    "sparsities": {"targets": [0.5, 0.8]},
    "controls": ["reinit"],
    "seeds": [0, 1],
    "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
    "benchmark": {"batchSizes": [1]},
    "artifacts": {"uri": "gs://bucket/prefix"},
}


def document(name: str = "trial", **changes: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": {"name": name},
            "spec": SPEC | changes,
        }
    )


def status(kubectl: Kubectl, name: str = "trial") -> dict[str, Any]:
    return dict(json.loads(kubectl("get", "pex", name, "-o", "json").stdout).get("status", {}))


def ends(kubectl: Kubectl, name: str = "trial") -> dict[str, Any]:
    """The status, once the experiment has ended."""

    def ended() -> bool:
        return status(kubectl, name).get("phase") in ("Succeeded", "Failed")

    eventually(ended, f"{name} ends")
    return status(kubectl, name)


@pytest.fixture
def node(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[ProcessKubelet]:
    with ProcessKubelet(experiments_crd.kubeconfig, tmp_path, simulate=plausible_answer) as kubelet:
        yield kubelet


@pytest.fixture
def operator(experiments_crd: ClusterAccess, namespace: str) -> Iterator[OperatorProcess]:
    with OperatorProcess(experiments_crd.kubeconfig, [namespace]) as process:
        yield process.wait_ready()


@pytest.fixture
def slow_node(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[ProcessKubelet]:
    """Every round takes long enough to be interfered with."""
    with ProcessKubelet(
        experiments_crd.kubeconfig, tmp_path, simulate=plausible_answer, seconds=2.0, labels=T4
    ) as kubelet:
        yield kubelet


def change(kubectl: Kubectl, patch: dict[str, Any], name: str = "trial") -> None:
    kubectl("patch", "pex", name, "--type=merge", "-p", json.dumps(patch))


def running(kubectl: Kubectl) -> list[str]:
    return [r["name"] for r in status(kubectl).get("rounds", []) if r["state"] == "Running"]


def job_names(kubectl: Kubectl) -> list[str]:
    return kubectl("get", "jobs", "-o", "name").stdout.split()


def test_an_experiment_runs_from_apply_to_succeeded(
    kubectl: Kubectl, node: ProcessKubelet, operator: OperatorProcess
) -> None:
    kubectl("apply", "-f", "-", input=document())
    ended = ends(kubectl)
    assert (ended["phase"], ended["reason"]) == ("Succeeded", "AllRoundsDone"), ended
    assert ended["progress"] == "12/12"
    assert node.overlaps() == []
    assert len(node.history) == 12
    kubectl("wait", "--for=condition=Complete", "pex/trial", "--timeout=10s")


def test_describe_tells_the_story(
    kubectl: Kubectl, slow_node: ProcessKubelet, operator: OperatorProcess
) -> None:
    kubectl("apply", "-f", "-", input=document(seeds=[0], controls=[], benchmark=None))
    ends(kubectl)
    eventually(lambda: "AllRoundsDone" in kubectl("describe", "pex", "trial").stdout, "the end")
    story = kubectl("describe", "pex", "trial").stdout.partition("Events:")[2]
    said = [
        "dense-s0 starts",
        "dense-s0 is done with accuracy 0.98",
        "ticket-s0-l01 is done",
        "ticket-s0-l02 is done",
        "report is done",
    ]
    found = [story.find(words) for words in said]
    assert found == sorted(found), story
    assert -1 not in found, story


def test_the_log_names_experiment_round_and_attempt(
    kubectl: Kubectl, node: ProcessKubelet, operator: OperatorProcess
) -> None:
    kubectl("apply", "-f", "-", input=document(seeds=[0], controls=[], benchmark=None))
    ends(kubectl)
    lines = [line for line in operator.log_lines() if line.get("round") == "ticket-s0-l01"]
    assert {line["experiment"] for line in lines} == {"trial"}
    assert {line["attempt"] for line in lines} == {1}
    assert "RoundStarted" in lines[0]["message"]


def test_deleting_the_experiment_removes_its_jobs(
    kubectl: Kubectl, slow_node: ProcessKubelet, operator: OperatorProcess
) -> None:
    kubectl("apply", "-f", "-", input=document())
    eventually(lambda: len(job_names(kubectl)) >= 2, "Jobs")
    kubectl("delete", "pex", "trial", "--cascade=foreground", "--timeout=60s")
    eventually(lambda: job_names(kubectl) == [], "the Jobs to go")
    eventually(lambda: kubectl("get", "pods", "-o", "name").stdout == "", "the Pods to go")


def test_suspend_stops_the_running_rounds_and_resume_goes_on_from_there(
    kubectl: Kubectl, slow_node: ProcessKubelet, operator: OperatorProcess
) -> None:
    kubectl("apply", "-f", "-", input=document())
    eventually(lambda: any(ran.started for ran in list(slow_node.history)), "a round to run")
    change(kubectl, {"spec": {"suspend": True}})
    eventually(lambda: status(kubectl)["phase"] == "Suspended", "suspension")
    eventually(lambda: kubectl("get", "pods", "-o", "name").stdout == "", "no Pod")
    suspended = status(kubectl)
    assert running(kubectl) == []
    started = len(slow_node.history)
    change(kubectl, {"spec": {"suspend": False}})
    ended = ends(kubectl)
    assert (ended["phase"], ended["progress"]) == ("Succeeded", "12/12"), ended
    assert len(slow_node.history) > started
    assert slow_node.overlaps() == []
    assert suspended["observedGeneration"] == 2
    assert ended["observedGeneration"] == 3


def test_a_changed_limit_takes_effect_at_once(
    kubectl: Kubectl, slow_node: ProcessKubelet, operator: OperatorProcess
) -> None:
    kubectl("apply", "-f", "-", input=document(seeds=[0, 1, 2, 3], limits={"parallelism": 1}))
    eventually(lambda: len(running(kubectl)) == 1, "one round")
    change(kubectl, {"spec": {"limits": {"parallelism": 4}}})
    eventually(lambda: len(running(kubectl)) == 4, "four rounds", 20)


def test_rounds_are_paid_for_by_the_price_of_their_nodes(
    kubectl: Kubectl,
    experiments_crd: ClusterAccess,
    namespace: str,
    slow_node: ProcessKubelet,
    tmp_path: Path,
) -> None:
    """Two GPUs at 0.11 and the Pod at 0.02 an hour; the budget lets no more than some rounds begin."""
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    runner = {"nodeSelector": T4, "resources": {"limits": {"nvidia.com/gpu": 2}}}
    limits = {"parallelism": 1, "maxCost": "0.00021"}
    spec = document(seeds=[0], runner=runner, limits=limits, benchmark=None)
    with OperatorProcess(experiments_crd.kubeconfig, [namespace], prices=prices) as operator:
        operator.wait_ready()
        kubectl("apply", "-f", "-", input=spec)
        ended = ends(kubectl)
        assert ended["reason"] == "BudgetReached", ended
        usage = ended["usage"]
        seconds = usage["durationSeconds"]
        assert usage["gpuSeconds"] == pytest.approx(2 * seconds)
        assert float(usage["cost"]) == pytest.approx(0.24 / 3600 * seconds, abs=5e-6)
        assert usage["currency"] == "USD"
        assert 0 < float(usage["cost"]) <= 0.00021 + 0.24 / 3600 * 2
        _, page = operator.read("/metrics")
        where = f'accelerator="t4",capacity="spot",currency="USD",namespace="{namespace}"'
        assert f"ticketsmith_cost_total{{{where}}}" in page


def test_the_rights_in_the_example_are_enough(
    kubectl: Kubectl, experiments_crd: ClusterAccess, namespace: str, node: ProcessKubelet
) -> None:
    """The whole cluster is served, with a Lease, by a service account that may do nothing else."""
    for body in yaml.safe_load_all(EXAMPLE.read_text()):
        its_own = body["metadata"]["name"].startswith("ticketsmith-operator")
        if its_own and body["kind"] in {"ClusterRole", "Role"}:
            own = body["metadata"] | {"name": f"{namespace}-{body['kind'].lower()}"}
            if body["kind"] == "Role":
                own["namespace"] = namespace
            experiments_crd.kubectl("apply", "-f", "-", input=json.dumps(body | {"metadata": own}))
    account = f"{namespace}:operator"
    kubectl("create", "serviceaccount", "operator")
    kubectl(
        "create",
        "rolebinding",
        "operator",
        f"--role={namespace}-role",
        f"--serviceaccount={account}",
    )
    experiments_crd.kubectl(
        "create",
        "clusterrolebinding",
        namespace,
        f"--clusterrole={namespace}-clusterrole",
        f"--serviceaccount={account}",
    )
    kubeconfig = experiments_crd.service_account_kubeconfig(namespace, "operator")
    lease = {"leader_election": True, "lease_namespace": namespace}
    with OperatorProcess(kubeconfig, **lease) as operator:
        operator.wait_ready()
        kubectl("apply", "-f", "-", input=document(seeds=[0]))
        assert ends(kubectl)["phase"] == "Succeeded"
        eventually(lambda: "report is done" in kubectl("get", "events").stdout, "Events")
        troubles = [line for line in operator.log_lines() if line.get("level") in TROUBLE]
        assert troubles == []
    experiments_crd.kubectl("delete", "clusterrolebinding", namespace)
    experiments_crd.kubectl("delete", "clusterrole", f"{namespace}-clusterrole")
