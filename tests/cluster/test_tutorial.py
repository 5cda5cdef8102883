"""The tutorial's part for a cluster, followed to the letter; the node plays the rounds."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_access import ClusterAccess, eventually
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer
from tools.build import HELM, binary

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "docs"))

from shown import commands  # noqa: E402
from tutorial import ON_A_CLUSTER, ticketsmith, write_files  # noqa: E402


@pytest.fixture
def cluster(
    experiments_crd: ClusterAccess, namespace: str, tmp_path: Path
) -> Iterator[tuple[ClusterAccess, str]]:
    """A cluster that holds what the page asks for: the operator, and a claim named artifacts."""
    claims = {"artifacts": tmp_path / "claim"}
    kubeconfig = experiments_crd.kubeconfig
    experiments_crd.make_claim(namespace, "artifacts")
    flags = {"artifacts_uri": "file:///artifacts", "artifacts_claim": "artifacts"}
    node = ProcessKubelet(kubeconfig, tmp_path, simulate=plausible_answer, claims=claims)
    with node, OperatorProcess(kubeconfig, [namespace], **flags) as operator:
        operator.wait_ready()
        yield experiments_crd, namespace


@pytest.mark.slow
@pytest.mark.cluster
def test_on_a_cluster(cluster: tuple[ClusterAccess, str], tmp_path: Path) -> None:
    access, namespace = cluster
    write_files(tmp_path)
    kubectl = access.kubectl
    kubectl("config", "set-context", "--current", f"--namespace={namespace}")
    try:
        for line in commands(ON_A_CLUSTER, "bash"):
            if line.startswith("kubectl "):
                words = shlex.split(
                    line.replace("experiment.yaml", str(tmp_path / "experiment.yaml"))
                )
                said = kubectl(*words[1:]).stdout
            elif line.startswith("ticketsmith logs"):
                continue  # nothing writes a log on a node that only plays
            else:
                said = ticketsmith(line, tmp_path, KUBECONFIG=str(access.kubeconfig))
            if line.startswith("kubectl get"):
                eventually(lambda: "first" in kubectl("get", "pex").stdout, "the experiment")
            if line.startswith(("kubectl describe", "ticketsmith list")):
                assert "first" in said
    finally:
        kubectl("config", "set-context", "--current", "--namespace=default")


@pytest.mark.cluster
def test_the_charts_take_the_values_shown() -> None:
    helm = binary("helm", HELM)
    lines = [line for line in commands(ON_A_CLUSTER, "console") if line.startswith("helm install")]
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)[2:]
        done = subprocess.run(
            [helm, "template", "--kube-version", "1.31.0", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
