"""What is applied, and what a Job is answered with. Pure, but for the clock that is handed in."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from simulated_answer import plausible_answer

from ticketsmith.experiment.base import API_VERSION, KIND
from ticketsmith.experiment.contract import read_round, write_answer
from ticketsmith.experiment.decision import World
from ticketsmith.experiment.envelope import unpack
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith_operator.names import CONTAINER, EXPERIMENT_LABEL
from ticketsmith_operator.render.job import render_job
from ticketsmith_operator.settings import Settings

MANAGER = "ticketsmith.dev/benchmark"
"""spec.managedBy of every Job: no controller but the player carries them out."""
NAMESPACE = "default"
STEP_LABEL = "benchmark/step"
"""Number of a Job of the bare loop within its chain."""

Body = Mapping[str, Any]


def experiment(name: str, rounds: int) -> dict[str, Any]:
    """A chain of so many rounds: one dense round, its tickets one after the other, and the report."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {"name": "lenet300"},
            "training": {"duration": "1ep"},
            "sparsities": {"rate": 0.2, "levels": rounds - 2},
            "controls": [],
            "seeds": [0],
            "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
            "benchmark": None,
            "artifacts": {"uri": "gs://bucket/prefix"},
        },
    }


def link(chain: str, step: int) -> dict[str, Any]:
    """A Job of the bare loop: what the operator makes for a dense round, under the chain's name."""
    job = _dense_job()
    marks = {**job["metadata"]["labels"], EXPERIMENT_LABEL: chain, STEP_LABEL: str(step)}
    return {**job, "metadata": {"name": f"{chain}-{step}", "labels": marks}}


@cache
def _dense_job() -> dict[str, Any]:
    document = experiment("chain", 5)
    document["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    world = World(now=0.0, runner_version="1", machine="benchmark", capacity=1)
    read = PruningExperiment.model_validate_json(json.dumps(document))
    (start,) = plan(read, (), world).start
    return render_job(start, read, Settings(job_managed_by=MANAGER))


def chain_of(job: Body) -> str:
    """Name of the experiment a Job belongs to."""
    name: str = job["metadata"]["labels"][EXPERIMENT_LABEL]
    return name


def is_over(job: Body) -> bool:
    """Whether the Job has ended."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Complete" and one["status"] == "True" for one in conditions)


def completed(job: Body, now: float) -> dict[str, Any]:
    """The Job with the status of one that has just succeeded; the answer is in the Complete condition's message."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = next(
        one for one in job["spec"]["template"]["spec"]["containers"] if one["name"] == CONTAINER
    )
    told = unpack({one["name"]: one.get("value", "") for one in container["env"]})
    answer = write_answer(plausible_answer(read_round(told or "")))
    status = {
        "startTime": job["metadata"]["creationTimestamp"],
        "completionTime": moment,
        "succeeded": 1,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "conditions": [
            _condition("SuccessCriteriaMet", moment, "1 of 1 completed"),
            _condition("Complete", moment, answer),
        ],
    }
    return {**job, "status": status}


def _condition(kind: str, moment: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": "CompletionsReached",
        "message": message,
    }
