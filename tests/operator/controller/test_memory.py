"""What events and lists leave in memory, in whatever order and however late they come."""

from typing import Any

import pytest

from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.kube.base import EXPERIMENTS, JOBS, PODS

KEY = ("ns", "trial")
JOB = ("ns", "trial-dense-s0-1")


def experiment(version: int = 1, uid: str = "exp") -> dict[str, Any]:
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": meta("trial", uid, version),
        "spec": {"model": {"name": "lenet300"}},
    }


def job(version: int = 2, uid: str = "job", **status: Any) -> dict[str, Any]:
    labels = {
        "ticketsmith.dev/experiment-uid": "exp",
        "ticketsmith.dev/round": "dense-s0",
        "ticketsmith.dev/attempt": "1",
    }
    return {"metadata": meta(JOB[1], uid, version) | {"labels": labels}, "status": status}


def pod(version: int = 3, uid: str = "pod", **state: Any) -> dict[str, Any]:
    metadata = meta(uid, uid, version) | {"labels": {"job-name": JOB[1]}}
    containers = [{"name": "round", "state": state}]
    return {"metadata": metadata, "status": {"containerStatuses": containers}}


def meta(name: str, uid: str, version: int) -> dict[str, Any]:
    return {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)}


@pytest.fixture
def memory() -> Memory:
    return Memory(lambda: 100.0)


def test_whatever_is_seen_of_an_experiment_makes_it_its_turn(memory: Memory) -> None:
    assert memory.see(JOBS, job()) is None  # whose it is, is not known yet
    assert memory.see(EXPERIMENTS, experiment()) == KEY
    assert memory.see(JOBS, job(5)) == KEY
    assert memory.see(PODS, pod(6)) == KEY
    assert memory.forget(PODS, pod(7)) == KEY
    assert memory.forget(JOBS, job(8)) == KEY
    assert memory.jobs("exp") == []


def test_what_is_older_than_what_is_known_teaches_nothing(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment(5))
    assert memory.see(EXPERIMENTS, experiment(5)) is None
    assert memory.see(EXPERIMENTS, experiment(4)) is None
    memory.see(JOBS, job(7))
    assert memory.see(JOBS, job(6)) is None


def test_a_pod_that_ended_is_remembered_until_its_job_goes(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment())
    memory.see(JOBS, job())
    memory.see(PODS, pod(3, running={}))
    memory.forget(PODS, pod(4, terminated={"exitCode": 0, "message": "the answer"}))
    assert [seen.view.answer for seen in memory.pods(JOB)] == ["the answer"]
    memory.forget(JOBS, job(9))
    assert memory.pods(JOB) == []


def test_a_pod_that_vanished_while_it_ran_is_forgotten(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment())
    memory.see(JOBS, job())
    memory.see(PODS, pod(3, running={}))
    memory.forget(PODS, pod(4, running={}))
    assert memory.pods(JOB) == []


def test_a_late_event_does_not_bring_back_what_was_deleted(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment())
    memory.see(JOBS, job(2))
    memory.forget(JOBS, job(9))
    assert memory.see(JOBS, job(8)) is None
    assert memory.jobs("exp") == []


def test_a_list_takes_away_what_it_does_not_name(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment())
    memory.see(JOBS, job(2))
    memory.begin_list()
    assert list(memory.end_list(JOBS, None, set(), version=10)) == [KEY]
    assert memory.jobs("exp") == []


def test_a_list_does_not_take_away_what_is_younger_than_itself(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment())
    memory.see(JOBS, job(20))
    memory.begin_list()
    assert list(memory.end_list(JOBS, None, set(), version=10)) == []
    assert len(memory.jobs("exp")) == 1


def test_a_list_of_one_namespace_says_nothing_of_another(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment())
    memory.begin_list()
    assert list(memory.end_list(EXPERIMENTS, "elsewhere", set(), version=10)) == []
    assert memory.experiment(KEY) is not None


def test_a_namesake_takes_the_place_of_the_one_before_it(memory: Memory) -> None:
    memory.see(EXPERIMENTS, experiment(1, "exp"))
    memory.see(JOBS, job())
    memory.see(EXPERIMENTS, experiment(9, "other"))
    assert memory.experiment(KEY).uid == "other"  # type: ignore[union-attr]
    assert memory.see(JOBS, job(10)) is None
    assert memory.forget(EXPERIMENTS, experiment(8, "exp")) is None
    assert memory.experiment(KEY) is not None


def test_jobs_and_pods_that_are_not_ours_are_left_alone(memory: Memory) -> None:
    assert memory.see(JOBS, {"metadata": meta("x", "x", 1)}) is None
    assert memory.see(PODS, {"metadata": meta("y", "y", 1)}) is None


def test_first_sights_are_noted_by_the_operators_own_clock(memory: Memory) -> None:
    memory.see(JOBS, job())
    memory.see(PODS, pod(3, waiting={"reason": "ErrImagePull"}))
    assert memory.pods(JOB)[0].stuck_since == 100.0
    memory.see(PODS, pod(4, running={"startedAt": "2020-01-01T00:00:00Z"}))
    assert memory.pods(JOB)[0].stuck_since is None
    assert memory.pods(JOB)[0].running_since == 100.0
