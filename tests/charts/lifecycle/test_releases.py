"""Install, upgrade, rollback and uninstall on a node with real containers, while rounds run."""

import functools
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster_access import Kubectl, eventually
from helm import CHARTS, Helm
from lifecycle_cluster import needs
from node import Node, node_for_tests
from previous import NEWER_FIELD, VERSION, previous_definitions, previous_operator

from ticketsmith_operator.names import EXPERIMENT_LABEL, ROUND_LABEL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.node,
    pytest.mark.timeout(3600),  # another file's node may have to be waited for
]

OPERATOR, DEFINITIONS = CHARTS / "ticketsmith", CHARTS / "ticketsmith-crds"
HOME = "ticketsmith"
"""Namespace of the operator, and name of its release."""
CRD = "pruningexperiments.ticketsmith.dev"
CLAIM = "artifacts"
USER = 65532
"""Who the images run as."""
SPEC: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "training": {"duration": "10ep"},
    "sparsities": {"targets": [0.5, 0.8, 0.9]},
    "controls": [],
    "seeds": [0, 1],
    "benchmark": {"batchSizes": []},
    "limits": {"parallelism": 2},
    "runner": {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}}},
}
ROUNDS = 9
"""Two seeds of four each, and the report."""


@dataclass(frozen=True)
class Place:
    """A namespace that enforces the restricted Pod Security Standard, with a claim for artifacts."""

    node: Node
    helm: Helm
    namespace: str
    store: Path
    """Where the claim's files lie."""

    @property
    def kubectl(self) -> Kubectl:
        return functools.partial(self.node.control_plane.kubectl, "--namespace", self.namespace)

    def apply(self, name: str, *options: str, **changes: Any) -> str:
        """Apply an experiment; what kubectl says if it is refused."""
        document = {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": {"name": name},
            "spec": SPEC | changes,
        }
        words = ("apply", *options, "-f", "-")
        return str(self.kubectl(*words, input=json.dumps(document), check=False).stderr)

    def experiment(self, name: str) -> dict[str, Any]:
        there = f"namespaces/{self.namespace}/pruningexperiments/{name}"
        return self.node.control_plane.read(f"/apis/ticketsmith.dev/v1alpha1/{there}")

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.experiment(name).get("status", {}))

    def pods(self, name: str, phase: str | None = None) -> list[dict[str, Any]]:
        """The Pods of an experiment's rounds, in that phase."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        label = f"{EXPERIMENT_LABEL}={name}"
        pods = self.node.control_plane.read(path, labelSelector=label)["items"]
        return [one for one in pods if phase in (None, one["status"]["phase"])]

    def runs(self, name: str) -> set[str]:
        """uids of the Pods that run, once there are some."""
        eventually(lambda: bool(self.pods(name, "Running")), f"a round of {name} runs")
        return {pod["metadata"]["uid"] for pod in self.pods(name, "Running")}

    def ends_well_once(self, name: str, interrupted: set[str]) -> None:
        """Wait for its end: every round ran once, and the Pods that ran meanwhile were left alone."""
        eventually(
            lambda: self.status(name).get("phase") in ("Succeeded", "Failed"), f"{name} ends", 600
        )
        status = self.status(name)
        assert (status["phase"], status["progress"]) == ("Succeeded", f"{ROUNDS}/{ROUNDS}"), status
        assert {one["name"]: one["attempts"] for one in status["rounds"]} == dict.fromkeys(
            (one["name"] for one in status["rounds"]), 1
        )
        eventually(lambda: not self.pods(name, "Running"), "the last Pod ends")
        pods = self.pods(name)
        rounds = Counter(pod["metadata"]["labels"][ROUND_LABEL] for pod in pods)
        assert rounds == {one["name"]: 1 for one in status["rounds"]}
        assert {pod["status"]["phase"] for pod in pods} == {"Succeeded"}
        restarts = [one["restartCount"] for p in pods for one in p["status"]["containerStatuses"]]
        assert set(restarts) == {0}
        assert interrupted <= {pod["metadata"]["uid"] for pod in pods}
        answers = {file.parent.name for file in self.store.glob("*/result.json")}
        assert answers >= {one["key"] for one in status["rounds"] if one["key"]}


@pytest.fixture(scope="module")
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A node that holds the operator's image under the previous release's tag, too."""
    needs("kubelet")
    with node_for_tests(request, tmp_path_factory.mktemp("node") / "node") as running:
        again = f"{running.images.operator.rpartition(':')[0]}:{VERSION}"
        tag = ("ctr", "--namespace", "k8s.io", "images", "tag", running.images.operator, again)
        running.machine.run(*tag)
        yield running


@pytest.fixture
def place(node: Node, tmp_path: Path) -> Iterator[Place]:
    namespace = f"test-{uuid.uuid4().hex[:10]}"
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, USER, USER)
    node.control_plane.make_namespace(namespace)
    node.control_plane.make_claim(namespace, CLAIM, store)
    helm = Helm(node.control_plane)
    yield Place(node, helm, namespace, store)
    # The definitions outlive their release, and would be another test's: with them go the experiments.
    for release, home in ((HOME, HOME), ("ticketsmith-crds", "default")):
        helm("uninstall", release, "--namespace", home, "--ignore-not-found", "--wait")
    node.control_plane.kubectl("delete", "crd", CRD, "--ignore-not-found", "--timeout=60s")


def test_rounds_run_once_through_an_upgrade_and_a_rollback(place: Place, tmp_path: Path) -> None:
    helm, before = place.helm, previous_definitions(place.helm, tmp_path)
    helm.install("ticketsmith-crds", before, "default")
    helm.install(HOME, previous_operator(tmp_path), HOME, values(place.node, VERSION))
    assert operator(place) == [VERSION]
    newer = {NEWER_FIELD: {"ttlSecondsAfterFinished": 86400}}
    assert f'unknown field "spec.{NEWER_FIELD}"' in place.apply("trial", **newer)
    assert place.apply("trial") == ""

    running = place.runs("trial")
    helm.upgrade("ticketsmith-crds", DEFINITIONS, "default")
    helm.upgrade(HOME, OPERATOR, HOME, values(place.node))
    assert operator(place) == [place.node.images.operator.rpartition(":")[2]]
    assert place.apply("trial", **newer) == ""
    assert place.experiment("trial")["spec"][NEWER_FIELD]["ttlSecondsAfterFinished"] == 86400

    running |= place.runs("trial")
    waits = ("--wait", "--timeout", "180s")
    helm("rollback", HOME, "1", "--namespace", HOME, *waits)
    assert operator(place) == [VERSION]
    assert not_over(place, "trial"), "make its rounds longer: it ended before the rollback did"
    place.ends_well_once("trial", running)


def test_experiments_outlive_the_operator_and_are_taken_up_by_the_next(place: Place) -> None:
    helm = place.helm
    helm.install("ticketsmith-crds", DEFINITIONS, "default")
    helm.install(HOME, OPERATOR, HOME, values(place.node))
    assert place.apply("trial") == ""
    running = place.runs("trial")
    helm("uninstall", HOME, "--namespace", HOME, "--wait")
    helm("uninstall", "ticketsmith-crds", "--namespace", "default", "--wait")
    assert operator(place) == []

    # The rounds that run go on, nothing new begins, and what they found stays.
    def rest() -> bool:
        return len(place.pods("trial")) == len(place.pods("trial", "Succeeded"))

    eventually(rest, "the rounds that were begun end well", 300)
    left = {pod["metadata"]["uid"] for pod in place.pods("trial")}
    assert running <= left
    results = set(place.store.glob("*/result.json"))
    assert len(results) == len(left)
    place.kubectl("get", "crd", CRD)
    assert place.status("trial")["phase"] == "Running"

    helm.install("ticketsmith-crds", DEFINITIONS, "default")
    helm.install(HOME, OPERATOR, HOME, values(place.node))
    place.ends_well_once("trial", left)
    assert results <= set(place.store.glob("*/result.json"))


def test_an_upgrade_that_does_not_become_ready_is_taken_back(place: Place) -> None:
    """An operator without rights never says that it is ready, and helm waits for that."""
    helm = place.helm
    helm.install("ticketsmith-crds", DEFINITIONS, "default")
    helm.install(HOME, OPERATOR, HOME, values(place.node))
    # An operator that runs is ready and stays so: it is a new one that has to find out.
    broken = values(place.node) | {"rbac": {"create": False}, "podLabels": {"new": "yes"}}
    upgrade = ("upgrade", HOME, OPERATOR, "--namespace", HOME, "--atomic", "--timeout", "45s")
    refused = helm(*upgrade, values=broken, check=False)
    assert refused.returncode != 0
    assert "has been rolled back" in refused.stderr
    history = json.loads(helm("history", HOME, "--namespace", HOME, "-o", "json").stdout)
    assert [one["status"] for one in history] == ["superseded", "failed", "deployed"]
    assert place.apply("trial", seeds=[0]) == ""
    place.runs("trial")


def values(node: Node, tag: str | None = None) -> dict[str, Any]:
    """The images of this node, the operator's under that tag, and the claim of these tests."""
    repository, _, newest = node.images.operator.rpartition(":")
    runner, _, runner_tag = node.images.runner.rpartition(":")
    return {
        "image": {"repository": repository, "tag": tag or newest, "pullPolicy": "Never"},
        "runner": {"image": {"repository": runner, "tag": runner_tag}},
        "artifacts": {"uri": "file:///artifacts", "persistentVolumeClaim": CLAIM},
    }


def operator(place: Place) -> list[str]:
    """Tags of the operator's image in the Pods that say they are ready."""
    label = "app.kubernetes.io/name=ticketsmith-operator"
    path = f"/api/v1/namespaces/{HOME}/pods"
    pods = place.node.control_plane.read(path, labelSelector=label)["items"]
    ready = [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        for one in pod["status"].get("conditions", ())
        if (one["type"], one["status"]) == ("Ready", "True")
    ]
    return [pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in ready]


def not_over(place: Place, name: str) -> bool:
    return place.status(name).get("phase") == "Running"
