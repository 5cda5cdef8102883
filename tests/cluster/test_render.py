"""A real API server takes the Jobs as they are rendered, in a namespace that enforces the restricted standard."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The manifests that were reviewed, and the runners that hypothesis thinks of, stand with the render's own tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "operator" / "render"))

from any_runner import runners
from golden_jobs import EXAMPLES, SETTINGS, experiments, first_start, kept

from ticketsmith.experiment.contract import ReportRound, read_round
from ticketsmith.experiment.decision import Start
from ticketsmith.experiment.envelope import unpack
from ticketsmith.experiment.placement import RunnerSpec
from ticketsmith_operator.render.job import render_job, unrenderable

JOBS = kept()
STRICT = ("create", "--validate=strict", "--output=json", "--filename=-")


def at_home(job: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The Job in the test's namespace."""
    return {**job, "metadata": {**job["metadata"], "namespace": namespace}}


def alone(job: dict[str, Any]) -> dict[str, Any]:
    """A Pod of the Job's template: the standard only warns of a Job, but refuses a Pod."""
    template = job["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "round-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def missing(asked: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where `found` lacks what was asked for. The server may add, never take away."""
    if isinstance(asked, dict) and isinstance(found, dict):
        for name, value in asked.items():
            yield from missing(value, found.get(name), f"{path}.{name}")
    elif isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        for i, (one, other) in enumerate(zip(asked, found, strict=True)):
            yield from missing(one, other, f"{path}[{i}]")
    elif asked != found:
        yield f"{path}: asked for {asked!r}, found {found!r}"


@pytest.fixture
def furnished(control_plane: ClusterAccess, kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a namespace with the service accounts and priority classes that Pods are refused without."""
    priority = "batch-low"
    made = not control_plane.kubectl(
        "get", "priorityclass", priority, "--ignore-not-found"
    ).stdout.strip()
    if made:
        control_plane.kubectl("create", "priorityclass", priority, "--value=1")
    for account in ("default", "ticketsmith-runner"):
        kubectl("create", "serviceaccount", account, check=False)  # the first may be there already
    yield kubectl
    if made:
        control_plane.kubectl("delete", "priorityclass", priority)


@pytest.mark.parametrize("name", JOBS)
def test_the_server_takes_the_job_strictly_and_without_a_warning(
    kubectl: Kubectl, namespace: str, name: str
) -> None:
    job = json.dumps(at_home(JOBS[name], namespace))
    done = kubectl(*STRICT, "--dry-run=server", input=job)
    assert done.stderr == ""


@pytest.mark.parametrize("name", JOBS)
def test_a_pod_of_the_job_meets_the_restricted_standard(furnished: Kubectl, name: str) -> None:
    furnished(*STRICT, "--dry-run=server", input=json.dumps(alone(JOBS[name])))


def test_the_namespace_does_refuse_what_does_not_meet_it(furnished: Kubectl) -> None:
    pod = alone(JOBS["smallest"])
    pod["spec"]["containers"][0]["securityContext"] = {}
    done = furnished(*STRICT, "--dry-run=server", input=json.dumps(pod), check=False)
    assert done.returncode != 0
    assert "restricted" in done.stderr


@pytest.mark.parametrize("name", JOBS)
def test_a_created_job_says_what_was_asked_for(kubectl: Kubectl, namespace: str, name: str) -> None:
    job = at_home(JOBS[name], namespace)
    # Its owner is not there: such a Job would be taken away, perhaps before it is read.
    del job["metadata"]["ownerReferences"]
    kubectl(*STRICT, input=json.dumps(job))
    found = json.loads(kubectl("get", "job", job["metadata"]["name"], "--output=json").stdout)
    assert list(missing(job, found)) == []


def test_a_job_managed_by_another_controller_is_taken(kubectl: Kubectl, namespace: str) -> None:
    elsewhere = SETTINGS.model_copy(update={"job_managed_by": "example.com/simulator"})
    experiment = experiments()["smallest"]
    job = at_home(render_job(first_start(experiment), experiment, elsewhere), namespace)
    taken = json.loads(kubectl(*STRICT, "--dry-run=server", input=json.dumps(job)).stdout)
    assert taken["spec"]["managedBy"] == "example.com/simulator"


@settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(thought_of=st.lists(runners, min_size=25, max_size=25))
@pytest.mark.slow
def test_whatever_the_runner_says_the_server_takes_what_is_rendered(
    kubectl: Kubectl, namespace: str, thought_of: Sequence[RunnerSpec]
) -> None:
    plain = experiments()["smallest"]
    jobs = []
    for runner in thought_of:
        spec = plain.spec.model_copy(update={"runner": runner})
        experiment = plain.model_copy(update={"spec": spec})
        if unrenderable(experiment) is None:
            job = at_home(render_job(first_start(experiment), experiment, SETTINGS), namespace)
            job["metadata"]["name"] = f"job-{len(jobs)}"
            jobs.append(job)
    everything = {"apiVersion": "v1", "kind": "List", "items": jobs}
    done = kubectl(*STRICT, "--dry-run=server", input=json.dumps(everything), check=False)
    assert done.returncode == 0 or not jobs, done.stderr


def test_the_largest_report_fits_into_a_job(kubectl: Kubectl, namespace: str) -> None:
    """Twenty thousand rounds, the most a spec may ask for, and figures that hardly compress."""
    random = Random(0)
    lines = [
        f"ticket-s{i}-l01 Dp {random.getrandbits(64):016x} t{random.random():.6f} a{random.random():.6f}"
        for i in range(20_000)
    ]
    told = ReportRound(name="report", experiment="x", runner_version="1", resource={"l": lines})
    job = at_home(render_job(Start(told, 1), experiments()["smallest"], SETTINGS), namespace)
    del job["metadata"]["ownerReferences"]
    kubectl(*STRICT, input=json.dumps(job))
    found = json.loads(kubectl("get", "job", job["metadata"]["name"], "--output=json").stdout)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert read_round(unpack(environment) or "") == told


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_examples_are_taken(
    kubectl: Kubectl, experiments_crd: ClusterAccess, namespace: str, file: Path
) -> None:
    """In the test's namespace; the operator's own is not there yet, so its objects go there too."""
    for body in yaml.safe_load_all(file.read_text()):
        if "namespace" in body["metadata"]:
            body["metadata"]["namespace"] = namespace
        kubectl(*STRICT, "--dry-run=server", input=json.dumps(body))
