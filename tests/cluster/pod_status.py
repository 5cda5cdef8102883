"""The status of a Pod with one container, as a kubelet writes it. Pure."""

import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MESSAGE_LIMIT = 4096
"""Bytes kept of a termination message."""


@dataclass(frozen=True)
class End:
    """How a container ended."""

    code: int
    message: str = ""
    reason: str = ""
    """OOMKilled and the like; empty: Completed or Error, by the code."""
    disrupted: bool = False
    """Whether the node ended it, for reasons of its own."""


def waiting(pod: Mapping[str, Any], reason: str, message: str) -> dict[str, Any]:
    """The container is not started, for that reason."""
    state = {"waiting": {"reason": reason, "message": message}}
    return _status(pod, "Pending", state, ready=False)


def running(pod: Mapping[str, Any], started: float) -> dict[str, Any]:
    """The container runs."""
    return _status(pod, "Running", {"running": {"startedAt": stamp(started)}}, ready=True)


def ended(pod: Mapping[str, Any], times: tuple[float, float] | None, end: End) -> dict[str, Any]:
    """The container has ended, and with it the Pod. `times` are its start and end; None if it never started."""
    kept = end.message.encode()[:MESSAGE_LIMIT].decode(errors="ignore")
    terminated = {
        "exitCode": end.code,
        "reason": end.reason or ("Completed" if end.code == 0 else "Error"),
        "message": kept,
    }
    if times is not None:
        terminated |= {"startedAt": stamp(times[0]), "finishedAt": stamp(times[1])}
    phase = "Succeeded" if end.code == 0 and not end.disrupted else "Failed"
    status = _status(pod, phase, {"terminated": terminated}, ready=False)
    if end.disrupted:
        said = "The node was low on resource: memory."
        status |= {"reason": "Evicted", "message": said}
        status["conditions"].append(
            _condition("DisruptionTarget", "True", "TerminationByKubelet", said)
        )
    return status


def stamp(moment: float) -> str:
    """Unix seconds as Kubernetes writes a time."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _status(
    pod: Mapping[str, Any], phase: str, state: dict[str, Any], *, ready: bool
) -> dict[str, Any]:
    container = pod["spec"]["containers"][0]
    reason = "" if ready else "PodCompleted" if "terminated" in state else "ContainersNotReady"
    truth = "True" if ready else "False"
    return {
        "phase": phase,
        "conditions": [
            _condition("Initialized", "True"),
            _condition("ContainersReady", truth, reason),
            _condition("Ready", truth, reason),
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": 0,
                "state": state,
            }
        ],
    }


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    condition = {"type": kind, "status": status, "lastTransitionTime": stamp(time.time())}
    return condition | {k: v for k, v in {"reason": reason, "message": message}.items() if v}
