"""render_job: what every Job has, whatever the runner says, and what each field of the runner becomes."""

import json
from typing import Any

import pytest
from any_runner import runners
from golden_jobs import SETTINGS, as_read, first_start
from hypothesis import given

from ticketsmith.experiment.contract import ExitCode, ReportRound, read_round
from ticketsmith.experiment.decision import Start
from ticketsmith.experiment.envelope import unpack
from ticketsmith.experiment.placement import RunnerSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith_operator.names import CONTAINER, job_name
from ticketsmith_operator.render.job import render_job, unrenderable
from ticketsmith_operator.settings import Settings

CLAIMED = {"uri": "file:///artifacts", "persistentVolumeClaim": "artifacts"}


def experiment(**spec: Any) -> PruningExperiment:
    spec = {"model": {"name": "lenet300"}, "artifacts": CLAIMED, **spec}
    return as_read(
        {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": {
                "name": "trial",
                "labels": {"app.kubernetes.io/instance": "gitops", "team": "vision"},
                "annotations": {"argocd.argoproj.io/tracking-id": "gitops"},
            },
            "spec": spec,
        }
    )


def rendered(settings: Settings = SETTINGS, **spec: Any) -> dict[str, Any]:
    one = experiment(**spec)
    return render_job(first_start(one), one, settings)


def pod(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def container(job: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod(job)["containers"]
    return only


def env(job: dict[str, Any]) -> dict[str, Any]:
    listed = container(job)["env"]
    found = {one["name"]: one.get("value") for one in listed}
    assert len(found) == len(listed), "a variable stands twice"
    return found


@given(runner=runners)
def test_whatever_the_runner_says_a_job_has_no_more_rights_than_it_needs(
    runner: RunnerSpec,
) -> None:
    plain = experiment()
    one = plain.model_copy(update={"spec": plain.spec.model_copy(update={"runner": runner})})
    start = first_start(one)
    job = render_job(start, one, SETTINGS)
    spec, template, only = job["spec"], pod(job), container(job)

    assert template["restartPolicy"] == "Never"
    assert template["automountServiceAccountToken"] is False
    assert template["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & template.keys()
    assert template["securityContext"]["runAsNonRoot"] is True
    assert template["securityContext"]["runAsUser"] > 0
    assert template["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    sources = {kind for volume in template["volumes"] for kind in volume.keys() - {"name"}}
    assert sources <= {"emptyDir", "persistentVolumeClaim", "secret", "configMap"}
    named = {volume["name"] for volume in template["volumes"]}
    assert {mount["name"] for mount in only["volumeMounts"]} == named

    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec.get("suspend", False) is (runner.queue_name is not None)
    assert "finalizers" not in job["metadata"]
    assert "ttlSecondsAfterFinished" not in spec
    assert "annotations" not in job["metadata"]
    assert "gitops" not in json.dumps(job)
    assert "vision" not in job["metadata"]["labels"].values()

    told = env(job)
    assert read_round(told["TICKETSMITH_ROUND"]) == start.round
    assert "$" not in told["TICKETSMITH_ROUND"]
    assert told["TICKETSMITH_STORE"] == "file:///artifacts"
    assert json.loads(json.dumps(job)) == job
    assert render_job(start, one, SETTINGS) == job


def test_a_job_belongs_to_its_experiment_and_carries_the_labels_it_is_watched_by() -> None:
    one = experiment()
    start = Start(first_start(one).round, attempt=7)
    job = render_job(start, one, SETTINGS)
    uid = one.metadata.uid
    assert uid is not None
    assert job["metadata"]["name"] == job_name("trial", uid, start.round.name, 7)
    assert job["metadata"]["namespace"] == "lab"
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("PruningExperiment", "trial", uid)
    assert owner["controller"] is True
    labels = job["metadata"]["labels"]
    assert labels["ticketsmith.dev/attempt"] == "7"
    assert job["spec"]["template"]["metadata"]["labels"] == labels


def test_an_experiment_that_was_not_read_from_a_cluster_is_no_owner() -> None:
    one = experiment()
    adrift = one.model_copy(update={"metadata": one.metadata.model_copy(update={"uid": None})})
    with pytest.raises(ValueError, match="trial has no uid"):
        render_job(first_start(one), adrift, SETTINGS)


def test_the_failure_policy_speaks_of_the_contract_s_exit_codes() -> None:
    disruption, final = rendered()["spec"]["podFailurePolicy"]["rules"]
    assert disruption["action"] == "Ignore"
    assert [c["type"] for c in disruption["onPodConditions"]] == ["DisruptionTarget"]
    assert final["action"] == "FailJob"
    assert final["onExitCodes"]["containerName"] == CONTAINER == container(rendered())["name"]
    values = final["onExitCodes"]["values"]
    assert values == [2, 3, 4]
    assert [code for code in range(256) if ExitCode.is_final(code)] == values


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, {}),
        ({"limits": {"roundDeadlineSeconds": 900}}, {"activeDeadlineSeconds": 900}),
        ({"runner": {"queueName": "q"}}, {"suspend": True}),
        (
            {"limits": {"roundDeadlineSeconds": 900}, "runner": {"queueName": "q"}},
            {"activeDeadlineSeconds": 900, "suspend": True},
        ),
    ],
)
def test_a_job_says_only_what_was_asked_for(spec: dict[str, Any], found: dict[str, Any]) -> None:
    optional = {"activeDeadlineSeconds", "suspend", "managedBy"}
    job = rendered(**spec)
    assert {name: job["spec"][name] for name in optional & job["spec"].keys()} == found
    queue = job["metadata"]["labels"].get("kueue.x-k8s.io/queue-name")
    assert queue == ("q" if "suspend" in found else None)


def test_another_controller_may_carry_the_jobs_out() -> None:
    job = rendered(settings=Settings(job_managed_by="example.com/simulator"))
    assert job["spec"]["managedBy"] == "example.com/simulator"


def test_the_image_is_the_runner_s_else_the_operator_s() -> None:
    assert container(rendered())["image"] == SETTINGS.image
    assert container(rendered(runner={"image": "own:1"}))["image"] == "own:1"


@pytest.mark.parametrize(
    ("resources", "threads", "device"),
    [
        ({}, "1", None),
        ({"limits": {"cpu": 4}}, "4", None),
        ({"limits": {"cpu": "500m"}}, "1", None),
        ({"limits": {"cpu": "2900m"}, "requests": {"cpu": 1}}, "2", None),
        ({"requests": {"cpu": "3"}}, "3", None),
        ({"limits": {"nvidia.com/gpu": 1}}, "1", "cuda"),
        ({"limits": {"nvidia.com/gpu": 0}}, "1", None),
        ({"limits": {"amd.com/gpu": 1}}, "1", "cuda"),
        ({"limits": {"nvidia.com/mig-2g.10gb": 1}}, "1", "cuda"),
    ],
)
def test_a_round_computes_on_what_it_was_given(
    resources: dict[str, Any], threads: str, device: str | None
) -> None:
    told = env(rendered(runner={"resources": resources}))
    assert told["TICKETSMITH_THREADS"] == threads
    assert told.get("TICKETSMITH_DEVICE") == device


def test_the_user_s_variables_go_before_the_operator_s_habits() -> None:
    theirs = [{"name": "TICKETSMITH_THREADS", "value": "9"}, {"name": "HOME", "value": "/home"}]
    told = env(rendered(runner={"env": theirs}))
    assert (told["TICKETSMITH_THREADS"], told["HOME"], told["TMPDIR"]) == ("9", "/home", "/scratch")


@pytest.mark.parametrize(
    "name", ["TICKETSMITH_ROUND", "TICKETSMITH_ROUND_1", "TICKETSMITH_STORE", "TICKETSMITH_ANSWER"]
)
def test_what_tells_a_round_its_work_cannot_be_taken(name: str) -> None:
    with pytest.raises(Exception, match=f"{name} is set by the operator"):
        rendered(runner={"env": [{"name": name, "value": "x"}]})


def test_a_secret_is_named_and_never_seen() -> None:
    reference = {"name": "tokens", "key": "hub"}
    job = rendered(
        runner={
            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": reference}}],
            "volumes": [{"name": "key", "mountPath": "/secrets", "secret": "bucket-key"}],
        }
    )
    (token,) = (one for one in container(job)["env"] if one["name"] == "TOKEN")
    assert token == {
        "name": "TOKEN",
        "valueFrom": {"secretKeyRef": {**reference, "optional": False}},
    }
    (key,) = (volume for volume in pod(job)["volumes"] if volume["name"] == "key")
    assert key["secret"] == {"secretName": "bucket-key", "defaultMode": 0o440}


@pytest.mark.parametrize(
    ("limits", "own", "keys"),
    [
        ({}, [], []),
        ({"nvidia.com/gpu": 0}, [], []),
        ({"nvidia.com/gpu": 1}, [], ["nvidia.com/gpu"]),
        ({"nvidia.com/mig-1g.5gb": 1}, [], ["nvidia.com/gpu"]),
        ({"amd.com/gpu": 1}, [], ["amd.com/gpu"]),
        (
            {"nvidia.com/gpu": 1},
            [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
            ["nvidia.com/gpu"],
        ),
        (
            {"nvidia.com/gpu": 1},
            [{"key": "other", "operator": "Exists"}],
            ["other", "nvidia.com/gpu"],
        ),
    ],
)
def test_the_taint_of_gpu_nodes_is_tolerated_where_gpus_are_asked_for(
    limits: dict[str, Any], own: list[dict[str, Any]], keys: list[str]
) -> None:
    job = rendered(runner={"resources": {"limits": limits}, "tolerations": own})
    assert [one["key"] for one in pod(job).get("tolerations", [])] == keys


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///artifacts", "/artifacts"),
        ("file:///mnt/a%20b/", "/mnt/a b"),
        ("file:////srv//x/../y", "/srv/y"),
    ],
)
def test_the_claim_is_mounted_where_the_store_looks(uri: str, path: str) -> None:
    job = rendered(artifacts={"uri": uri, "persistentVolumeClaim": "c"})
    (mount,) = (m for m in container(job)["volumeMounts"] if m["name"] == "artifacts")
    assert mount == {"name": "artifacts", "mountPath": path}
    assert env(job)["TICKETSMITH_STORE"] == uri


def test_kubernetes_expands_nothing_in_the_store_s_address() -> None:
    told = env(rendered(artifacts={"uri": "gs://bucket/$(HOME)"}))
    assert told["TICKETSMITH_STORE"] == "gs://bucket/$$(HOME)"


def test_a_report_of_any_size_reaches_its_round() -> None:
    """Five thousand ledger lines: far more than one environment variable holds."""
    lines = [f"ticket-s{i}-l01 Dp {i:016x} t{i}.25 s0.5 a0.98" for i in range(5000)]
    told = ReportRound(name="report", experiment="trial", runner_version="1", resource={"l": lines})
    one = experiment()
    values = env(render_job(Start(told, 1), one, SETTINGS))
    assert all(len(f"{name}={value}".encode()) < 128 * 1024 for name, value in values.items())
    assert read_round(unpack(values) or "") == told


def test_what_is_rendered_can_be_rendered() -> None:
    assert unrenderable(experiment()) is None
