"""What stays and what goes, on a real API server: Jobs in their time, weights by `ticketsmith gc`, no experiment."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl, eventually
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

from ticketsmith_operator.names import ROUND_LABEL

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster" / "gc.yaml"
TICKETSMITH = [sys.executable, "-c", "from ticketsmith.cli import main; main()"]
SPEC: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "training": {"duration": "1ep"},
    "sparsities": {"targets": [0.5, 0.8]},
    "controls": ["reinit"],
    "seeds": [0],
    "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
    "benchmark": {"batchSizes": []},
}
ROUNDS = 6
FILES = ("spec.json", "mask.safetensors", "weights.safetensors", "result.json")

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[[], OperatorProcess]


@pytest.fixture
def node(experiments_crd: ClusterAccess, tmp_path: Path) -> Iterator[ProcessKubelet]:
    with ProcessKubelet(
        experiments_crd.kubeconfig, tmp_path / "pods", simulate=plausible_answer
    ) as kubelet:
        yield kubelet


@pytest.fixture
def start_operator(experiments_crd: ClusterAccess, namespace: str) -> Iterator[Start]:
    """Starts operators that keep artifacts where the tests put them."""
    started: list[OperatorProcess] = []

    def start() -> OperatorProcess:
        flags = {"artifacts_uri": "gs://bucket/prefix"}
        process = OperatorProcess(experiments_crd.kubeconfig, [namespace], **flags)
        started.append(process)
        return process.wait_ready()

    yield start
    for process in started:
        process.process.stop()


@pytest.fixture
def ticketsmith(experiments_crd: ClusterAccess, namespace: str, tmp_path: Path) -> Cli:
    """Run `ticketsmith ARGUMENTS -n NAMESPACE`."""
    environment = os.environ | {"KUBECONFIG": str(experiments_crd.kubeconfig), "NO_COLOR": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TICKETSMITH, *arguments, "-n", namespace],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=300,
        )

    return run


def apply(kubectl: Kubectl, name: str = "trial", **spec: Any) -> None:
    document = {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": SPEC | spec,
    }
    kubectl("apply", "-f", "-", input=json.dumps(document))


def read(kubectl: Kubectl, name: str = "trial") -> dict[str, Any]:
    return dict(json.loads(kubectl("get", "pex", name, "-o", "json").stdout))


def jobs(kubectl: Kubectl) -> dict[str, Any]:
    """Specs of the Jobs, by their rounds."""
    found = json.loads(kubectl("get", "jobs", "-o", "json").stdout)["items"]
    return {job["metadata"]["labels"][ROUND_LABEL]: job["spec"] for job in found}


def pods(kubectl: Kubectl) -> list[str]:
    return kubectl("get", "pods", "-o", "name").stdout.split()


def has_ended(kubectl: Kubectl, name: str = "trial") -> None:
    """Wait until it has succeeded."""

    def ended() -> bool:
        return read(kubectl, name).get("status", {}).get("phase") in ("Succeeded", "Failed")

    eventually(ended, f"{name} ends")
    assert read(kubectl, name)["status"]["phase"] == "Succeeded"


def marked(kubectl: Kubectl) -> list[int]:
    return [spec["ttlSecondsAfterFinished"] for spec in jobs(kubectl).values()]


# --- Jobs ----------------------------------------------------------------------------------------
def test_jobs_and_pods_go_when_their_answers_are_kept_and_the_experiment_stays(
    kubectl: Kubectl, node: ProcessKubelet, start_operator: Start, ticketsmith: Cli
) -> None:
    start_operator()
    apply(kubectl, retention={"ttlSecondsAfterFinished": 1})
    has_ended(kubectl)
    eventually(lambda: not jobs(kubectl), "the Jobs to go")
    eventually(lambda: not pods(kubectl), "the Pods to go")
    ended = read(kubectl)
    assert {known["state"] for known in ended["status"]["rounds"]} == {"Done"}
    assert len(node.history) == ROUNDS
    told = ticketsmith("logs", "trial", "dense-s0")
    assert told.returncode == 1
    assert "the log of dense-s0, attempt 1, is gone with its Job, as " in told.stderr
    assert "spec.retention.ttlSecondsAfterFinished is 1; it is Done" in told.stderr
    # Another operator, which sees none of them, does not miss them.
    start_operator()
    kubectl("annotate", "pex", "trial", "look=again")
    assert read(kubectl)["status"] == ended["status"]
    assert jobs(kubectl) == {}
    assert len(node.history) == ROUNDS


def test_an_operator_killed_in_between_leaves_no_job_without_its_time(
    kubectl: Kubectl, node: ProcessKubelet, start_operator: Start
) -> None:
    """It dies with all answers in the status and no Job marked; the next finds what is left to do."""
    first = start_operator()
    apply(kubectl)
    has_ended(kubectl)
    eventually(
        lambda: (
            kubectl(
                "get", "jobs", "-o", "name", "--field-selector=status.successful=1"
            ).stdout.count("job")
            == ROUNDS
        ),
        "every Job to be complete",
    )
    first.kill()
    assert not any("ttlSecondsAfterFinished" in spec for spec in jobs(kubectl).values())
    patch = json.dumps({"spec": {"retention": {"ttlSecondsAfterFinished": 3600}}})
    kubectl("patch", "pex", "trial", "--type=merge", "-p", patch)
    second = start_operator()
    eventually(
        lambda: all("ttlSecondsAfterFinished" in one for one in jobs(kubectl).values()), "marks"
    )
    assert marked(kubectl) == [3600] * ROUNDS
    second.kill()
    # From here on nobody of ours is needed: Kubernetes removes what is marked.
    patch = json.dumps({"spec": {"retention": {"ttlSecondsAfterFinished": 0}}})
    kubectl("patch", "pex", "trial", "--type=merge", "-p", patch)
    start_operator()
    eventually(lambda: not jobs(kubectl), "the Jobs to go")
    assert len(node.history) == ROUNDS
    assert read(kubectl)["status"]["phase"] == "Succeeded"


# --- weights -------------------------------------------------------------------------------------
def test_gc_asks_the_cluster_who_needs_what(
    kubectl: Kubectl, node: ProcessKubelet, start_operator: Start, ticketsmith: Cli, tmp_path: Path
) -> None:
    """One experiment has ended, another that shares its dense round is suspended before it began."""
    start_operator()
    apply(kubectl, "over", retention={"keepCheckpoints": "best"}, seeds=[0, 1])
    has_ended(kubectl, "over")
    apply(kubectl, "live", suspend=True, sparsities={"targets": [0.5, 0.9]}, seeds=[1])
    keys = {known["name"]: known["key"] for known in read(kubectl, "over")["status"]["rounds"]}
    best = read(kubectl, "over")["status"]["best"]["round"]
    for key in keys.values():
        leave(tmp_path / "store" / key)
    done = ticketsmith("gc", "store", "--cluster", "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = {one["key"]: one for one in json.loads(done.stdout)["rounds"]}
    whole = {name for name, key in keys.items() if found[key]["reason"] == "needed"}
    seed = best.split("-")[1]
    assert whole == {best, f"dense-{seed}", "dense-s1", "ticket-s1-l01", "reinit-s1-l01"}
    assert found[keys["dense-s1"]]["experiments"][0].endswith("/live")
    weights = {path.parent.name for path in (tmp_path / "store").glob("*/weights.safetensors")}
    assert weights == {keys[name] for name in whole}
    assert len(list((tmp_path / "store").glob("*/result.json"))) == len(keys)
    assert read(kubectl, "over")["status"]["phase"] == "Succeeded"


def test_the_example_is_one_that_the_server_takes(kubectl: Kubectl) -> None:
    """And its Pod passes the namespace's Pod Security Standard."""
    *_, cron_job = yaml.safe_load_all(EXAMPLE.read_text())
    done = kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(cron_job))
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gc"}, "spec": template["spec"]}
    pod["spec"]["serviceAccountName"] = "default"
    assert "created" in done.stdout
    assert (
        "created" in kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(pod)).stdout
    )


def leave(folder: Path) -> None:
    """A finished round's files, a month old."""
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"x" * 100)
        os.utime(folder / name, (time.time() - 30 * 86400,) * 2)
