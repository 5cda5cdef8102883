"""Both images on a node that really runs containers: kubectl apply, and what comes of it."""

import functools
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_access import Kubectl, eventually
from node import NAME, Node, node_for_tests

from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.results import CHECKPOINT, MASK, WEIGHTS
from ticketsmith.experiment.status import Status

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.node,
    pytest.mark.timeout(3600),
]

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.yaml"
OPERATOR = ROOT / "examples" / "cluster" / "operator.yaml"
CLAIM = "artifacts"
USER = 65532
"""Who the images run as."""
SMALL: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "training": {"duration": "2ep"},
    "sparsities": {"targets": [0.5]},
    "controls": [],
    "seeds": [0],
    "benchmark": None,
}


@pytest.fixture(scope="module")
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A node with the operator on it, deployed as examples/cluster says."""
    with node_for_tests(request, tmp_path_factory.mktemp("node") / "node") as running:
        running.control_plane.install_crds(ROOT / "crds")
        _deploy_operator(running)
        yield running


@dataclass(frozen=True)
class Place:
    """A namespace that enforces the restricted Pod Security Standard, with a claim for artifacts."""

    node: Node
    namespace: str
    store: Path
    """Where the claim's files lie."""
    folder: Path
    """Where a test may put files."""

    @property
    def kubectl(self) -> Kubectl:
        return functools.partial(self.node.control_plane.kubectl, "--namespace", self.namespace)

    def apply(self, name: str, **changes: Any) -> None:
        """Apply a small experiment."""
        self.kubectl("apply", "-f", "-", input=_experiment(name, **changes))

    def status(self, name: str) -> dict[str, Any]:
        path = (
            f"/apis/ticketsmith.dev/v1alpha1/namespaces/{self.namespace}/pruningexperiments/{name}"
        )
        return dict(self.node.control_plane.read(path).get("status", {}))

    def ended(self, name: str) -> dict[str, Any]:
        """The status, once the experiment has ended."""

        def over() -> bool:
            return self.status(name).get("phase") in ("Succeeded", "Failed")

        eventually(over, f"{name} ends", 2400)
        return self.status(name)

    def pods(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return list(self.node.control_plane.read(path)["items"])

    def running(self) -> list[str]:
        """Names of the Pods whose container runs."""
        return [p["metadata"]["name"] for p in self.pods() if p["status"]["phase"] == "Running"]


@pytest.fixture
def place(node: Node, tmp_path: Path) -> Place:
    namespace = f"test-{uuid.uuid4().hex[:10]}"
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, USER, USER)
    node.control_plane.make_namespace(namespace)
    node.control_plane.make_claim(namespace, CLAIM, store)
    return Place(node, namespace, store, tmp_path)


def test_the_quickstart_ends_on_a_cluster_with_what_it_ends_with_here(place: Place) -> None:
    place.kubectl("apply", "-f", QUICKSTART)
    there = place.ended("quickstart")
    assert (there["phase"], there["progress"]) == ("Succeeded", "59/59"), there["message"]
    assert _rounds(there, place.store) == _rounds(*_run_here(place.folder / "runs"))


def test_a_round_whose_node_is_drained_goes_on_and_ends_with_the_same_bytes(place: Place) -> None:
    training = {"training": {"duration": "400ep", "evaluateEvery": "50ep"}}
    often = {"env": [{"name": "TICKETSMITH_CHECKPOINT_SECONDS", "value": "1"}]}
    place.apply("drained", **training, runner=often)

    def has_checkpoint() -> bool:
        return bool(place.running()) and any(place.store.glob(f"*/{CHECKPOINT}"))

    eventually(has_checkpoint, "a checkpoint of the first round", 600)
    (first,) = place.running()
    rounds = "--pod-selector=ticketsmith.dev/experiment=drained"
    drained = ("drain", NAME, rounds, "--delete-emptydir-data", "--timeout=120s")
    place.node.control_plane.kubectl(*drained)
    place.node.control_plane.kubectl("uncordon", NAME)
    eventually(lambda: bool(place.running()), "the round's next Pod runs", 300)
    (second,) = place.running()
    logs = place.kubectl("logs", "--follow", second).stdout
    assert second != first
    assert "resumedAt" in logs

    status = place.ended("drained")
    assert status["phase"] == "Succeeded", status["message"]
    assert [one["attempts"] for one in status["rounds"]] == [1] * len(status["rounds"])
    undisturbed = place.folder / "undisturbed.json"
    undisturbed.write_text(_experiment("undisturbed", **training))
    assert _rounds(status, place.store) == _rounds(*_run_here(place.folder / "runs", undisturbed))


def test_a_round_that_is_killed_for_memory_is_told_in_status(place: Place) -> None:
    tight = {"resources": {"limits": {"memory": "64Mi"}}}
    place.apply("tight", runner=tight, limits={"retries": 0})
    status = place.ended("tight")
    assert status["phase"] == "Failed"
    assert "memory" in status["message"]


def test_a_round_gets_its_gpu_and_deleting_its_experiment_leaves_the_artifacts(
    place: Place,
) -> None:
    # The node only says that it has GPUs: the round is sent to one and told to compute without.
    device = [{"name": "TICKETSMITH_DEVICE", "value": "cpu"}]
    place.apply("gpu", runner={"resources": {"limits": {"nvidia.com/gpu": 1}}, "env": device})
    status = place.ended("gpu")
    assert status["phase"] == "Succeeded", status["message"]
    assert status["usage"]["gpuSeconds"] > 0
    limits = [pod["spec"]["containers"][0]["resources"]["limits"] for pod in place.pods()]
    assert limits
    assert all(one["nvidia.com/gpu"] == "1" for one in limits)

    place.kubectl("delete", "pex", "gpu", "--timeout=60s")
    place.kubectl("wait", "--for=delete", "jobs,pods", "--all", "--timeout=60s")
    assert {file.parent.name for file in place.store.glob("*/result.json")} >= {
        one["key"] for one in status["rounds"]
    }


def test_the_operators_image_is_small_and_has_no_torch(node: Node) -> None:
    images = node.control_plane.read(f"/api/v1/nodes/{NAME}")["status"]["images"]
    sizes = {name: image["sizeBytes"] for image in images for name in image["names"]}
    assert sizes[node.images.operator] - sizes[node.images.base] < 200_000_000
    python = ("exec", "-n", "ticketsmith", "deploy/ticketsmith-operator", "--", "python", "-c")
    asked = "import importlib.util as u; print([n for n in ('torch', 'numpy', 'pip') if u.find_spec(n)])"
    assert node.control_plane.kubectl(*python, asked).stdout.strip() == "[]"


def _experiment(name: str, **changes: Any) -> str:
    """A small one, as JSON."""
    body = {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": SMALL | changes,
    }
    return json.dumps(body)


def _deploy_operator(node: Node) -> None:
    """As the example says, with the images made here and a claim for experiments that name no place for artifacts."""
    documents = list(yaml.safe_load_all(OPERATOR.read_text()))
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = node.images.operator
    container["args"] += ["--image", node.images.runner]
    container["args"] += ["--artifacts-uri", "file:///artifacts", "--artifacts-claim", CLAIM]
    kubectl = node.control_plane.kubectl
    kubectl("apply", "-f", "-", input=yaml.safe_dump_all(documents))
    in_its = functools.partial(kubectl, "--namespace", "ticketsmith", check=False)
    operator = "deployment/ticketsmith-operator"
    if in_its("rollout", "status", operator, "--timeout=180s").returncode != 0:
        pytest.fail(f"the operator is not ready:\n{in_its('logs', operator, '--tail=30').stdout}")


def _run_here(runs: Path, file: Path = QUICKSTART) -> tuple[dict[str, Any], Path]:
    """Status and store of a local run."""
    program = Path(sys.executable).with_name("ticketsmith")
    command = [program, "run", file, "--runs", runs, "--no-report", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout)["status"]), runs / "store"


def _rounds(status: dict[str, Any], store: Path) -> dict[str, tuple[str, list[str], float]]:
    """Of each round that trained: key, hashes of mask and weights, accuracy. Timings and reports belong to the machine
    that made them."""
    known = Status.model_validate_json(json.dumps(status))
    # Which of them are told in detail, and so in full precision, depends on who finished first.
    rounds = recall(known.rounds, known.ledger).values()
    return {
        one.name: (str(one.key), _hashes(store / str(one.key)), round(one.metrics["accuracy"], 6))
        for one in rounds
        if one.arm not in ("benchmark", "report")
    }


def _hashes(folder: Path) -> list[str]:
    files = [folder / name for name in (MASK, WEIGHTS)]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists()]
