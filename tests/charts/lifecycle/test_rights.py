"""The operator's rights are those it works with: none is missing, none is idle.

The chart is installed by helm, and the operator runs beside it as the chart's service account, with the chart's own
arguments, through everything that makes it speak to the API server. What it asked for stands in the audit log.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cluster_access import eventually
from control_plane import ControlPlane
from fault_proxy import Answer, Call, Fault, FaultProxy, failure
from faults.node import Node
from helm import CHARTS, Helm
from lifecycle_cluster import needs
from misbehaviour import Exit, NeverStart, Script
from operator_process import OperatorProcess
from rights import Right, asked, granted

from ticketsmith_operator.names import owner

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ACCOUNT = "ticketsmith-operator"
RELEASE = "ticketsmith"
BY_ADMISSION = ("ticketsmith.dev", "pruningexperiments/finalizers", "update")
"""Not asked of the API server, but by it: its admission plugin OwnerReferencesPermissionEnforcement, which these tests
turn on, wants it of whoever makes a Job that blocks the deletion of its experiment."""
SPEC: Mapping[str, Any] = {
    "model": {"name": "lenet300"},
    "training": {"duration": "1ep"},
    "sparsities": {"targets": [0.5]},
    "controls": [],
    "seeds": [0],
    "benchmark": {"batchSizes": []},
    "artifacts": {"uri": "gs://nowhere/tests"},
}
"""Three rounds: dense, ticket, report."""
HELD = {"suspended": 3, "lost": 4, "unseen": 5, "deleted": 6}
"""Experiments whose dense round runs until something was done to them, and their seeds."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that writes down who asks for what."""
    needs("kube-apiserver")
    strict = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"
    folder = tmp_path_factory.mktemp("audited")
    with ControlPlane(folder, audit=True, api_server_flags=[strict]) as running:
        Helm(running).install("ticketsmith-crds", CHARTS / "ticketsmith-crds", "default")
        yield running


@dataclass
class Disturbances(Fault):
    """One Job is made, but the operator is not told so; and of what happens to one experiment it hears nothing."""

    unheard: str
    """Experiment whose first Job that is."""
    unseen: str
    told: list[str] = field(default_factory=list)

    async def after(self, proxy: FaultProxy, call: Call, answer: Answer) -> Answer:
        name = json.loads(call.body)["metadata"]["name"] if call.verb == "create" else ""
        if call.resource == "jobs" and name.startswith(self.unheard) and not self.told:
            self.told.append(name)
            return failure(500, "InternalError")
        return answer

    async def passes(self, proxy: FaultProxy, call: Call, event: Any, number: int) -> bool:
        return not (
            event["type"] == "MODIFIED" and event["object"]["metadata"]["name"] == self.unseen
        )


@dataclass(frozen=True)
class Place:
    """A namespace with experiments."""

    plane: ControlPlane
    namespace: str

    def kubectl(self, *words: str, document: Mapping[str, Any] | None = None) -> str:
        body = None if document is None else json.dumps(document)
        return self.plane.kubectl("--namespace", self.namespace, *words, input=body).stdout

    def apply(self, name: str, **changes: Any) -> None:
        document = {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": {"name": name},
            "spec": {**SPEC, **changes},
        }
        self.kubectl("apply", "-f", "-", document=document)

    def change(self, name: str, **changes: Any) -> None:
        self.kubectl("patch", "pex", name, "--type=merge", "-p", json.dumps({"spec": changes}))

    def status(self, name: str) -> dict[str, Any]:
        path = (
            f"/apis/ticketsmith.dev/v1alpha1/namespaces/{self.namespace}/pruningexperiments/{name}"
        )
        return dict(self.plane.read(path).get("status", {}))

    def jobs(self, experiment: str) -> list[str]:
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        found = self.plane.read(path, labelSelector=f"ticketsmith.dev/experiment={experiment}")
        return [one["metadata"]["name"] for one in found["items"]]

    def events(self, reason: str) -> list[dict[str, Any]]:
        found = self.plane.read(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [one for one in found if one["reason"] == reason]

    def succeeds(self, *names: str) -> None:
        for name in names:
            eventually(
                lambda name=name: self.status(name).get("phase") == "Succeeded", f"{name} succeeds"
            )


@pytest.fixture(scope="module")
def node(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(plane.kubeconfig, tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def places(plane: ControlPlane) -> Iterator[list[Place]]:
    """Two namespaces for experiments."""
    names = [f"team-{letter}-{uuid.uuid4().hex[:6]}" for letter in "ab"]
    for name in names:
        plane.make_namespace(name)
    yield [Place(plane, name) for name in names]
    for name in names:
        plane.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def released(plane: ControlPlane, **values: Any) -> Iterator[str]:
    """The chart, installed in a namespace of its own, whose name this gives. Its own Pod finds no node."""
    namespace = f"operator-{uuid.uuid4().hex[:6]}"
    hasty = {"missingGraceSeconds": 0.5, "startGraceSeconds": 0.5}
    values = {"operator": hasty, "nodeSelector": {"nowhere": "here"}, **values}
    helm = Helm(plane)
    place = ("--namespace", namespace)
    helm("install", RELEASE, CHARTS / "ticketsmith", *place, "--create-namespace", values=values)
    try:
        yield namespace
    finally:
        helm("uninstall", RELEASE, *place)
        plane.kubectl("delete", "namespace", namespace, "--wait=false")


@contextmanager
def acting(
    plane: ControlPlane, namespace: str, folder: Path, faults: Mapping[str, Fault]
) -> Iterator[OperatorProcess]:
    """The operator with the arguments that the chart gives it, as the service account that the chart makes."""
    deployment = plane.get("deployment", ACCOUNT, "-n", namespace)["spec"]["template"]["spec"]
    (container,) = deployment["containers"]
    pairs = [word.removeprefix("--").partition("=")[::2] for word in container["args"]]
    served = [value for name, value in pairs if name == "namespace"]
    flags = {name.replace("-", "_"): value or True for name, value in pairs if name != "namespace"}
    here = {"bind": "127.0.0.1", "lease_namespace": namespace}
    account = plane.service_account_kubeconfig(namespace, deployment["serviceAccountName"])
    with FaultProxy(account, folder) as proxy:
        proxy.faults.update(faults)
        with OperatorProcess(proxy.kubeconfig, served, **(flags | here)) as operator:
            yield operator.wait_ready()


@pytest.mark.parametrize("elects", [False, True], ids=["alone", "elected"])
@pytest.mark.parametrize("wide", [True, False], ids=["cluster", "namespaces"])
def test_the_operator_asks_for_what_it_may_and_may_what_it_asks_for(
    plane: ControlPlane, node: Node, places: list[Place], tmp_path: Path, wide: bool, elects: bool
) -> None:
    served = [] if wide else [place.namespace for place in places]
    election = {"enabled": elects, "leaseSeconds": 3}
    with released(plane, watchNamespaces=served, leaderElection=election) as namespace:
        try:
            tell_the_story(plane, node, namespace, *places, tmp_path)
        finally:  # a verb that is missing may well be why the story came to nothing
            does, forbidden = asked(plane.audited(), namespace, ACCOUNT)
            assert forbidden == []
        everything = "clusterroles,clusterrolebindings,roles,rolebindings"
        may = granted(plane.get(everything, "--all-namespaces")["items"], namespace, ACCOUNT)
    # Roles of the namespaces served are one and the same, and one of them may have no use for all of it.
    may, does = ({_anyhow(right, served) for right in rights} for rights in (may, does))
    assert {str(one) for one in does if not any(right.covers(one) for right in may)} == set()
    idle = {right[1:] for right in may if not any(right.covers(one) for one in does)}
    assert idle == {BY_ADMISSION}


def test_a_cluster_that_guards_deletion_wants_the_right_to_finalizers(
    plane: ControlPlane, places: list[Place]
) -> None:
    """Why the chart grants a verb that the operator never uses."""
    place = places[0]
    place.apply("owner")
    uid = plane.get("pex", "owner", "-n", place.namespace)["metadata"]["uid"]
    container = {"name": "round", "image": "none"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "owned", "ownerReferences": [owner("owner", uid)]},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    with released(plane) as namespace:
        account = f"--as=system:serviceaccount:{namespace}:{ACCOUNT}"
        words = ("create", "--dry-run=server", "-n", place.namespace, account, "-f", "-")

        def refusal() -> str:
            return plane.kubectl(*words, input=json.dumps(job), check=False).stderr

        eventually(lambda: "forbidden" not in refusal(), "the rights are known")
        role = plane.get("clusterrole", ACCOUNT)
        (needed,) = (r for r in role["rules"] if BY_ADMISSION[1] in r["resources"])
        role["rules"].remove(needed)
        plane.kubectl("replace", "-f", "-", input=json.dumps(role))
        eventually(lambda: "cannot set blockOwnerDeletion" in refusal(), "the Job is refused")


def tell_the_story(
    plane: ControlPlane, node: Node, operators: str, first: Place, second: Place, folder: Path
) -> None:
    """Everything that makes the operator speak to the API server."""
    faults = Disturbances(unheard="unheard", unseen="unseen")
    with acting(plane, operators, folder, {first.namespace: faults}):
        begin(first, node)
        wait_for_a_quota(second)
        disturb(first, node)
        first.succeeds("unheard", "retried", "given-up", "suspended", "lost", "unseen")
        second.succeeds("refused")


def begin(place: Place, node: Node) -> None:
    """Experiments of which some go wrong by themselves, and some wait for what is done to them."""
    fails, never = {("dense-s1", 1): Exit(1, "boom")}, {("dense-s2", 1): NeverStart()}
    node.scripts[place.namespace] = Script(fails | never)
    node.held |= {(name, f"dense-s{seed}") for name, seed in HELD.items()}
    for name, seed in {"unheard": 0, "retried": 1, "given-up": 2, **HELD}.items():
        place.apply(name, seeds=[seed])


def wait_for_a_quota(place: Place) -> None:
    """An experiment that the quota has no place for, until it is told twice and the quota goes."""
    place.kubectl("create", "quota", "full", "--hard=count/jobs.batch=0")
    path = f"/api/v1/namespaces/{place.namespace}/resourcequotas/full"
    eventually(lambda: "used" in place.plane.read(path).get("status", {}), "the quota counts")
    place.apply("refused")
    eventually(
        lambda: any(one["count"] > 1 for one in place.events("RoundNotStarted")),
        "the refusal is told again",
    )
    place.kubectl("delete", "quota", "full")


def disturb(place: Place, node: Node) -> None:
    """Suspend and resume, change a limit, delete a Job, change one behind the operator's back, delete one."""

    def runs(name: str) -> bool:
        return any(one["state"] == "Running" for one in place.status(name).get("rounds", ()))

    for name, seed in HELD.items():
        eventually(lambda name=name: runs(name), f"{name} runs")
        eventually(lambda seed=seed: bool(node.ran(f"dense-s{seed}")), f"dense-s{seed} runs")
    place.change("retried", limits={"parallelism": 2})
    place.change("suspended", suspend=True)
    place.kubectl("delete", "job", *place.jobs("lost"))
    place.kubectl("annotate", "pex", "unseen", "told=nobody")
    place.kubectl("delete", "pex", "deleted")
    eventually(lambda: place.jobs("suspended") == [], "its Job is deleted")
    node.held -= {(name, f"dense-s{seed}") for name, seed in HELD.items()}
    place.change("suspended", suspend=False)


def _anyhow(right: Right, served: list[str]) -> Right:
    return right._replace(namespace="served") if right.namespace in served else right
