"""A real, small experiment on the cluster, in each kind of store: it comes out as on one machine, to the bit.

Both give a round one thread: sums depend on how many add them up.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess, Kubectl, eventually
from operator_process import OperatorProcess

# The stores' own tests keep the server; its folder is not a package.
sys.path.insert(0, str(Path(__file__).parents[1] / "stores"))

from fake_gcs import FakeGcs

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SPEC: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "dataset": {"name": "digits"},
    "training": {"duration": "2ep", "batchSize": 64},
    "sparsities": {"targets": [0.5]},
    "controls": ["reinit"],
    "seeds": [0],
    "gates": [{"metric": "accuracy", "maxDrop": 0.9}],
    "benchmark": {"batchSizes": []},
}


def document(artifacts: dict[str, Any] | None, env: list[dict[str, str]]) -> dict[str, Any]:
    where = {} if artifacts is None else {"artifacts": artifacts}
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": "small"},
        "spec": {**SPEC, **where, "runner": {"env": env}},
    }


def figures(resource: dict[str, Any]) -> dict[str, tuple[str, dict[str, float]]]:
    """Key and metrics of every training round."""
    rounds = resource["status"]["rounds"]
    return {r["name"]: (r["key"], r["metrics"]) for r in rounds if r["arm"] != "report"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The experiment as one machine runs it: its resource, and its store."""
    folder = tmp_path_factory.mktemp("alone")
    file = folder / "experiment.json"
    file.write_text(json.dumps(document(None, [])))
    words = ["run", str(file), "--runs", str(folder / "runs"), "-o", "json"]
    # As many rounds at once as there are cores: a thread for each.
    words += ["--parallelism", str(len(os.sched_getaffinity(0)))]
    done = subprocess.run(
        [Path(sys.executable).with_name("ticketsmith"), *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return json.loads(done.stdout), folder / "runs" / "store"


@pytest.fixture
def gcs(tmp_path: Path) -> Iterator[FakeGcs]:
    with contextlib.closing(_Closing(tmp_path / "gcs.log")) as server:
        yield server


class _Closing(FakeGcs):
    close = FakeGcs.stop


def test_on_a_claim_it_comes_out_as_on_one_machine(
    kubectl: Kubectl,
    experiments_crd: ClusterAccess,
    namespace: str,
    start_kubelet: Any,
    tmp_path: Path,
    alone: tuple[dict[str, Any], Path],
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    experiments_crd.make_claim(namespace, "shared")
    node = start_kubelet(claims={"shared": kept})
    where = {"uri": "file:///artifacts", "persistentVolumeClaim": "shared"}
    resource = _run(kubectl, experiments_crd, namespace, document(where, []))
    assert figures(resource) == figures(alone[0])
    assert node.overlaps() == []
    for key, _ in figures(resource).values():
        for name in ("weights.safetensors", "mask.safetensors"):
            one, other = alone[1] / key / name, kept / key / name
            assert one.exists() == other.exists()
            assert not one.exists() or one.read_bytes() == other.read_bytes()


def test_in_a_bucket_it_comes_out_as_on_one_machine(
    kubectl: Kubectl,
    experiments_crd: ClusterAccess,
    namespace: str,
    start_kubelet: Any,
    gcs: FakeGcs,
    alone: tuple[dict[str, Any], Path],
) -> None:
    start_kubelet()
    bucket = gcs.new_bucket()
    env = [{"name": "STORAGE_EMULATOR_HOST", "value": gcs.url}]
    where = {"uri": f"gs://{bucket}/runs"}
    resource = _run(kubectl, experiments_crd, namespace, document(where, env))
    assert figures(resource) == figures(alone[0])
    for key, _ in figures(resource).values():
        for name in ("weights.safetensors", "mask.safetensors"):
            one = alone[1] / key / name
            if one.exists():
                assert one.read_bytes() == gcs.read(bucket, f"runs/{key}/{name}")


def _run(
    kubectl: Kubectl, cluster: ClusterAccess, namespace: str, experiment: dict[str, Any]
) -> dict[str, Any]:
    with OperatorProcess(cluster.kubeconfig, [namespace], capacity=1) as operator:
        operator.wait_ready()
        kubectl("apply", "-f", "-", input=json.dumps(experiment))

        def found() -> dict[str, Any]:
            return dict(json.loads(kubectl("get", "pex", "small", "-o", "json").stdout))

        eventually(
            lambda: found().get("status", {}).get("phase") in ("Succeeded", "Failed"),
            "the end",
            400,
        )
        resource = found()
        assert resource["status"]["phase"] == "Succeeded", resource["status"]
        return resource
