"""A real API server takes what the chart makes, and Pod Security lets it in. Nothing of it is kept."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess
from control_plane import ControlPlane
from rendered import (
    CHART,
    CRD_CHART,
    HERE,
    NAMES,
    NAMESPACE,
    Document,
    find,
    made,
    template,
    values,
)
from tools.build import NotBuilt, binary

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.usefixtures("helm")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterAccess]:
    """A control plane that also serves the Prometheus operator's kinds, and has the namespaces of all values files."""
    try:
        binary("kube-apiserver")
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
    with ControlPlane(tmp_path_factory.mktemp("charts")) as plane:
        plane.install_crds(HERE / "monitoring_crds.yaml")
        spoken_of = (one["metadata"].get("namespace") for name in NAMES for one in made(name))
        for namespace in {*spoken_of} - {None}:
            plane.make_namespace(str(namespace))
        yield plane


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_takes_everything_without_a_warning(
    cluster: ClusterAccess, name: str
) -> None:
    said = _try(cluster, template("--values", values(name)).stdout)
    assert (said.returncode, said.stderr) == (0, "")
    assert len(said.stdout.splitlines()) == len(made(name))


def test_it_takes_the_resource(cluster: ClusterAccess) -> None:
    said = _try(cluster, template(chart=CRD_CHART).stdout)
    assert (said.returncode, said.stderr) == (0, "")


def test_it_would_not_take_a_field_that_there_is_not(cluster: ClusterAccess) -> None:
    """So the tests above can fail: also on the kinds that only look like the Prometheus operator's."""
    for kind, field in (("Deployment", "replica"), ("ServiceMonitor", "endpoint")):
        broken = find(made("observed"), kind)
        broken["spec"][field] = 1
        said = _try(cluster, json.dumps(broken))
        assert said.returncode != 0
        assert field in said.stderr


def _try(cluster: ClusterAccess, text: str) -> subprocess.CompletedProcess[str]:
    dry = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    return cluster.kubectl(*dry, input=text, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_its_pods_pass_where_the_restricted_standard_is_enforced(
    cluster: ClusterAccess, name: str
) -> None:
    said = _admit(cluster, _pods(made(name)))
    assert (said.returncode, said.stderr) == (0, "")


def test_a_pod_that_may_do_more_does_not_pass(cluster: ClusterAccess) -> None:
    pods = _pods(made("default"))
    for pod in pods:
        pod["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    assert _admit(cluster, pods).stderr.count('violates PodSecurity "restricted') == len(pods) == 2


def _pods(found: list[Document]) -> list[Document]:
    """The operator's Pod and that of `helm test`, without what they need from elsewhere to be admitted."""
    deployed: Any = find(found, "Deployment")["spec"]["template"]
    operator = {"apiVersion": "v1", "kind": "Pod", **deployed, "metadata": {"name": "operator"}}
    pods = [operator, *(one for one in found if one["kind"] == "Pod")]
    for pod in pods:
        pod["metadata"] = {"name": pod["metadata"]["name"], "namespace": NAMESPACE}
        for elsewhere in ("serviceAccountName", "priorityClassName"):
            pod["spec"].pop(elsewhere, None)
    return pods


def _admit(cluster: ClusterAccess, pods: list[Document]) -> subprocess.CompletedProcess[str]:
    both = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", input=both, check=False)


@pytest.mark.parametrize(
    ("name", "serves", "apply"),
    [
        ("default", "the whole cluster", "kubectl apply"),
        ("namespaced", "the namespaces team-a, 1e3", "kubectl -n team-a apply"),
    ],
)
def test_the_notes_say_what_to_do_next(
    cluster: ClusterAccess, helm: Path, name: str, serves: str, apply: str
) -> None:
    notes = _notes(cluster, helm, name)
    assert serves in notes
    assert f"kubectl -n {NAMESPACE} rollout status deployment/lab-ticketsmith-operator" in notes
    assert f"{apply} -f examples/quickstart.yaml" in notes
    assert "helm install ticketsmith-crds" in notes


def test_the_notes_do_not_speak_of_what_is_there(
    cluster: ClusterAccess, helm: Path, tmp_path: Path
) -> None:
    (tmp_path / "crd.yaml").write_text(template(chart=CRD_CHART).stdout)
    cluster.install_crds(tmp_path)
    assert "helm install ticketsmith-crds" not in _notes(cluster, helm, "default")


def _notes(cluster: ClusterAccess, helm: Path, name: str) -> str:
    """What `helm install` would print on that cluster."""
    place = ("--namespace", NAMESPACE, "--dry-run=server", "--kubeconfig", cluster.kubeconfig)
    command = [helm, "install", "lab", CHART, *place, "--values", values(name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]
