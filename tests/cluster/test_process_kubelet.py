"""The node that plays Pods: what runs, and what a misbehaving container looks like to Kubernetes."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess, eventually
from misbehaviour import (
    AnswerTwice,
    Evict,
    Exit,
    Hang,
    Lose,
    NeverStart,
    Oom,
    Script,
    answer,
)
from pod_history import Ran, overlapping
from process_kubelet import StartKubelet
from simulated_answer import plausible_answer

from ticketsmith.experiment.contract import RoundError, RoundResult, TrainRound, read_answer
from ticketsmith_operator.names import ATTEMPT_LABEL, ROUND_LABEL

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

POLICY = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": "round", "operator": "In", "values": [2]},
        },
    ]
}


def job(script: str = "", name: str = "work", **container: Any) -> dict[str, Any]:
    """A Job of one Python script, shaped as the operator's are."""
    container = {
        "name": "round",
        "image": "runner",
        "command": ["python", "-c", script],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        **container,
    }
    volumes = container.pop("volumes", [])
    spec = {
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "podFailurePolicy": POLICY,
            "podReplacementPolicy": "Failed",
            "template": {"spec": spec},
        },
    }


class Bench:
    """Jobs in one namespace."""

    def __init__(self, cluster: ClusterAccess, namespace: str) -> None:
        self.kubectl = functools.partial(cluster.kubectl, "--namespace", namespace)
        self._cluster = cluster
        self._namespace = namespace

    def create(self, *documents: Mapping[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("create", "-f", "-", input=json.dumps(listed))

    def job(self, name: str = "work") -> dict[str, Any]:
        return self._cluster.read(f"/apis/batch/v1/namespaces/{self._namespace}/jobs/{name}")

    def pods(self) -> list[dict[str, Any]]:
        return list(self._cluster.read(f"/api/v1/namespaces/{self._namespace}/pods")["items"])

    def ending(self, name: str = "work") -> tuple[str, str]:
        """(Complete or Failed, reason), once the Job has ended."""

        def ended() -> list[dict[str, Any]]:
            conditions = self.job(name).get("status", {}).get("conditions", [])
            return [one for one in conditions if one["type"] in ("Complete", "Failed")]

        eventually(lambda: bool(ended()), f"job {name} has ended")
        return ended()[0]["type"], ended()[0].get("reason", "")

    def terminated(self) -> dict[str, Any]:
        """How the container of the only Pod ended."""
        (pod,) = self.pods()
        return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])


@pytest.fixture
def bench(control_plane: ClusterAccess, namespace: str) -> Bench:
    return Bench(control_plane, namespace)


def test_a_job_runs_its_command_and_its_answer_comes_back(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    kubelet = start_kubelet()
    bench.create(job("import os; open(os.environ['TICKETSMITH_ANSWER'], 'w').write('forty-two')"))
    assert bench.ending()[0] == "Complete"
    assert bench.terminated()["message"] == "forty-two"
    assert bench.terminated()["reason"] == "Completed"
    (pod,) = bench.pods()
    assert pod["status"]["phase"] == "Succeeded"
    (ran,) = kubelet.ran("work")
    assert ran.exit == 0
    assert ran.pod_uid == pod["metadata"]["uid"]


def test_exit_code_and_last_words_of_a_failure_come_back(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    start_kubelet()
    bench.create(
        job("import sys; sys.exit('no good')", terminationMessagePolicy="FallbackToLogsOnError")
    )
    assert bench.ending() == ("Failed", "BackoffLimitExceeded")
    assert bench.terminated()["exitCode"] == 1
    assert bench.terminated()["reason"] == "Error"
    assert "no good" in bench.terminated()["message"]


def test_a_program_that_is_not_there_is_a_start_error(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    start_kubelet()
    bench.create(job(command=["no-such-program"]))
    assert bench.ending()[0] == "Failed"
    assert bench.terminated()["exitCode"] == 128
    assert bench.terminated()["reason"] == "StartError"


def test_environment_and_volumes_are_what_the_pod_asks_for(
    bench: Bench,
    start_kubelet: StartKubelet,
    tmp_path: Path,
    control_plane: ClusterAccess,
    namespace: str,
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    start_kubelet(claims={"store": kept}, image_environment={"FROM_IMAGE": "yes"})
    script = """
import json, os, pathlib, sys
seen = {name: os.environ.get(name) for name in sys.argv[2:]}
pathlib.Path(sys.argv[1], "seen.json").write_text(json.dumps(seen))
pathlib.Path(os.environ["SCRATCH"], "x").write_text("x")
"""
    names = ["PLAIN", "SECRET", "MAPPED", "ABSENT", "NAME", "STORE", "FROM_IMAGE", "KEY", "JOINED"]
    secret = {"name": "hidden", "key": "word"}
    document = job(
        args=["-c", script, "/artifacts", *names],
        command=["python"],
        env=[
            {"name": "PLAIN", "value": "as it is"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": secret}},
            {"name": "MAPPED", "valueFrom": {"configMapKeyRef": {"name": "open", "key": "word"}}},
            {"name": "ABSENT", "valueFrom": {"secretKeyRef": {**secret, "key": "no", "optional": True}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "STORE", "value": "file:///artifacts/below"},
            {"name": "SCRATCH", "value": "/scratch"},
            {"name": "KEY", "value": "/secrets/word"},
            {"name": "JOINED", "value": "$(PLAIN), $$(PLAIN)"},
        ],
        volumeMounts=[
            {"name": "artifacts", "mountPath": "/artifacts"},
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "key", "mountPath": "/secrets"},
        ],
        volumes=[
            {"name": "artifacts", "persistentVolumeClaim": {"claimName": "store"}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "key", "secret": {"secretName": "hidden"}},
        ],
    )  # fmt: skip
    bench.create(
        document,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"word": "psst"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "open"}, "data": {"word": "hello"}},
    )  # fmt: skip
    control_plane.make_claim(namespace, "store")
    assert bench.ending()[0] == "Complete"
    seen = json.loads((kept / "seen.json").read_text())
    key = Path(seen.pop("KEY"))
    assert key.read_text() == "psst"
    (pod,) = bench.pods()
    assert seen == {
        "PLAIN": "as it is",
        "SECRET": "psst",
        "MAPPED": "hello",
        "ABSENT": None,
        "NAME": pod["metadata"]["namespace"],
        "STORE": f"file://{kept}/below",
        "FROM_IMAGE": "yes",
        "JOINED": "as it is, $(PLAIN)",
    }


def test_a_missing_secret_keeps_the_container_waiting_until_it_is_there(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    start_kubelet()
    reference = {"secretKeyRef": {"name": "late", "key": "word"}}
    bench.create(job("", env=[{"name": "SECRET", "valueFrom": reference}]))

    def waiting() -> str:
        states = [
            status["state"].get("waiting", {})
            for pod in bench.pods()
            for status in pod["status"].get("containerStatuses", [])
        ]
        return states[0].get("reason", "") if states else ""

    eventually(lambda: waiting() == "CreateContainerConfigError", "it waits for its secret")
    bench.kubectl("create", "secret", "generic", "late", "--from-literal=word=x")
    assert bench.ending()[0] == "Complete"


def test_deletion_asks_first_and_kills_after_the_grace(
    bench: Bench, start_kubelet: StartKubelet, tmp_path: Path
) -> None:
    kubelet = start_kubelet(longest_grace=0.5)
    polite = "import signal, sys; signal.signal(15, lambda *_: sys.exit(143)); signal.pause()"
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\nwhile True: signal.pause()"
    bench.create(job(polite, name="polite"), job(deaf, name="deaf"))
    eventually(lambda: "deaf" in "".join(ran.log for ran in kubelet.ran("deaf")), "deaf is deaf")
    eventually(lambda: bool(kubelet.ran("polite")), "polite runs")
    bench.kubectl("delete", "job", "polite", "deaf", "--cascade=foreground")
    eventually(lambda: not bench.pods(), "their Pods are gone")
    assert [ran.exit for ran in kubelet.ran("deaf")] == [137]
    assert [ran.exit for ran in kubelet.ran("polite")] == [143]


def test_an_evicted_pod_is_replaced_within_the_same_job(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    kubelet = start_kubelet(script=Script({("work", 1): [Evict()]}))
    bench.create(job("import time; time.sleep(1)"))
    assert bench.ending()[0] == "Complete"
    evicted, replacement = kubelet.ran("work")
    assert evicted.pod_uid != replacement.pod_uid
    assert kubelet.overlaps() == []


def test_running_containers_are_evicted_on_demand(
    bench: Bench, start_kubelet: StartKubelet, tmp_path: Path
) -> None:
    kubelet = start_kubelet()
    flag = tmp_path / "flag"
    bench.create(job(f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.05)"))
    eventually(lambda: len(kubelet.ran("work")) == 1, "it runs")
    kubelet.interrupt("work", Evict())
    eventually(lambda: len(kubelet.ran("work")) == 2, "it runs again")
    flag.touch()
    assert bench.ending()[0] == "Complete"
    assert [ran.exit for ran in kubelet.ran("work")] == [143, 0]
    assert kubelet.overlaps() == []


def test_an_eviction_through_the_api_is_a_disruption_too(
    bench: Bench, start_kubelet: StartKubelet, namespace: str
) -> None:
    kubelet = start_kubelet(script=Script({("work", 1): [Exit(1, after=600)]}))
    bench.create(job(""))
    eventually(lambda: len(kubelet.ran("work")) == 1, "it runs")
    bench.kubectl(
        "drain", kubelet.name, "--force", "--pod-selector=batch.kubernetes.io/job-name=work"
    )
    bench.kubectl("uncordon", kubelet.name)
    assert bench.ending()[0] == "Complete"
    assert [ran.exit for ran in kubelet.ran("work")] == [143, 0]


@pytest.mark.parametrize(
    ("told", "code", "reason", "message"),
    [
        (Oom(), 137, "OOMKilled", ""),
        (Exit(2, "wrong spec"), 2, "Error", "wrong spec"),
        (answer("not json"), 0, "Completed", "not json"),
        (answer("x" * 5000), 0, "Completed", "x" * 4096),
    ],
    ids=["oom", "exit", "garbage", "too long"],
)
def test_an_end_as_told_shows_in_the_pods_status(
    bench: Bench, start_kubelet: StartKubelet, told: Any, code: int, reason: str, message: str
) -> None:
    start_kubelet(script=Script({("work", 1): told}))
    bench.create(job("import time; time.sleep(600)"))
    bench.ending()
    terminated = bench.terminated()
    assert (terminated["exitCode"], terminated["reason"]) == (code, reason)
    assert terminated.get("message", "") == message


def test_exit_code_2_fails_the_job_by_its_policy(bench: Bench, start_kubelet: StartKubelet) -> None:
    start_kubelet(script=Script({("work", 1): Exit(2)}))
    bench.create(job(""))
    assert bench.ending() == ("Failed", "PodFailurePolicy")


def test_a_second_answer_replaces_the_first(bench: Bench, start_kubelet: StartKubelet) -> None:
    start_kubelet(script=Script({("work", 1): AnswerTwice("one", "two")}))
    bench.create(job(""))
    assert bench.ending()[0] == "Complete"
    eventually(lambda: bench.terminated()["message"] == "two", "the second answer is there")


def test_a_lost_pod_fails_its_job(bench: Bench, start_kubelet: StartKubelet) -> None:
    kubelet = start_kubelet(script=Script({("work", 1): Lose()}))
    bench.create(job("import time; time.sleep(600)"))
    assert bench.ending() == ("Failed", "BackoffLimitExceeded")
    assert [ran.exit for ran in kubelet.ran("work")] == [137]


def test_a_container_that_never_starts_waits_until_its_job_is_deleted(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    kubelet = start_kubelet(script=Script({("work", 1): NeverStart()}))
    bench.create(job(""))

    def reasons() -> list[str]:
        statuses = [s for pod in bench.pods() for s in pod["status"].get("containerStatuses", [])]
        return [status["state"].get("waiting", {}).get("reason", "") for status in statuses]

    eventually(lambda: reasons() == ["ImagePullBackOff"], "it waits for its image")
    bench.kubectl("delete", "job", "work", "--cascade=foreground")
    eventually(lambda: not bench.pods(), "its Pod is gone")
    assert kubelet.ran("work") == []


def test_a_job_past_its_deadline_ends_even_if_its_container_hangs(
    bench: Bench, start_kubelet: StartKubelet
) -> None:
    kubelet = start_kubelet(script=Script({("work", 1): Hang()}), longest_grace=0.2)
    document = job("")
    document["spec"]["activeDeadlineSeconds"] = 1
    bench.create(document)
    assert bench.ending() == ("Failed", "DeadlineExceeded")
    assert [ran.exit for ran in kubelet.ran("work")] == [137]


def test_containers_outlive_a_restart_of_the_api_server(
    bench: Bench, start_kubelet: StartKubelet, control_plane: ClusterAccess, tmp_path: Path
) -> None:
    kubelet = start_kubelet()
    flag = tmp_path / "flag"
    bench.create(job(f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.05)"))
    eventually(lambda: len(kubelet.ran("work")) == 1, "it runs")
    control_plane.stop_api_server()
    flag.touch()
    eventually(lambda: kubelet.ran("work")[0].exit == 0, "it ends while nobody listens")
    control_plane.start_api_server()
    bench.create(job("", name="later"))
    assert bench.ending()[0] == "Complete"
    assert bench.ending("later")[0] == "Complete"
    assert len(kubelet.ran("work")) == 1


def test_stopping_leaves_no_process_and_no_node(
    bench: Bench, start_kubelet: StartKubelet, control_plane: ClusterAccess
) -> None:
    kubelet = start_kubelet()
    bench.create(job("import os, time; print(os.getpid(), flush=True); time.sleep(600)"))
    eventually(lambda: any(ran.log for ran in kubelet.ran("work")), "it runs")
    process = int(kubelet.ran("work")[0].log)
    assert Path(f"/proc/{process}").exists()
    kubelet.stop()
    assert not Path(f"/proc/{process}").exists()
    assert kubelet.ran("work")[0].exit == 137
    assert kubelet.name not in control_plane.kubectl("get", "nodes", "-o", "name").stdout


def dense_round(seed: int) -> TrainRound:
    """The shortest round that trains something."""
    return TrainRound.model_validate(
        {
            "name": f"dense-s{seed}-l00",
            "experiment": "made-up",
            "runnerVersion": "1",
            "arm": "dense",
            "seed": seed,
            "level": 0,
            "sparsity": 0,
            "model": {"name": "lenet300"},
            "dataset": {"name": "digits"},
            "training": {"duration": "1ep"},
            "rewind": "0it",
        }
    )


def round_job(told: TrainRound, **container: Any) -> dict[str, Any]:
    """A Job labelled as the operator's are."""
    env = [
        {"name": "TICKETSMITH_ROUND", "value": told.model_dump_json()},
        {"name": "TICKETSMITH_STORE", "value": "file:///artifacts"},
    ]
    document = job(name=told.name, env=env, **container)
    labels = {ROUND_LABEL: told.name, ATTEMPT_LABEL: "3"}
    document["spec"]["template"]["metadata"] = {"labels": labels}
    return document


def answers(bench: Bench) -> dict[str, RoundResult | RoundError]:
    """What each Pod's termination message says, by the Job's name."""
    return {
        pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]: read_answer(
            pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
        )
        for pod in bench.pods()
    }


def test_a_real_round_trains_in_the_claims_folder(
    bench: Bench,
    start_kubelet: StartKubelet,
    tmp_path: Path,
    control_plane: ClusterAccess,
    namespace: str,
) -> None:
    """The image's own command: the Pod names none."""
    start_kubelet(claims={"store": tmp_path}, image_environment={"TICKETSMITH_THREADS": "1"})
    control_plane.make_claim(namespace, "store")
    told = dense_round(0)
    mount = {"name": "artifacts", "mountPath": "/artifacts"}
    claim = {"name": "artifacts", "persistentVolumeClaim": {"claimName": "store"}}
    bench.create(round_job(told, command=[], volumeMounts=[mount], volumes=[claim]))
    assert bench.ending(told.name)[0] == "Complete"
    answer = answers(bench)[told.name]
    assert isinstance(answer, RoundResult)
    assert answer.key == told.key
    assert (tmp_path / told.key / "result.json").exists()


def test_simulated_rounds_answer_as_rounds_do(bench: Bench, start_kubelet: StartKubelet) -> None:
    kubelet = start_kubelet(simulate=plausible_answer)
    rounds = [dense_round(seed) for seed in range(100)]
    bench.create(*map(round_job, rounds))
    for told in rounds:
        assert bench.ending(told.name)[0] == "Complete"
    assert answers(bench) == {told.name: plausible_answer(told) for told in rounds}
    assert {(ran.round, ran.attempt) for ran in kubelet.history} == {(r.name, 3) for r in rounds}
    assert kubelet.overlaps() == []


def test_overlaps_are_found() -> None:
    def ran(name: str, started: float, ended: float | None) -> Ran:
        return Ran("e", name, 1, "pod", "uid", Path(), started, ended)

    apart = [ran("a", 0, 1), ran("a", 1, 2), ran("b", 0, 2)]
    assert overlapping(apart) == []
    within, still_running = ran("a", 1.5, 1.6), ran("b", 5, None)
    assert overlapping([*apart, within]) == [(apart[1], within)]
    assert overlapping([*apart, still_running]) == []
    assert overlapping([still_running, ran("b", 9, 10)])
