"""What the plan tells, as Events of Kubernetes: at most one of each kind at a time, to read like a story. Pure."""

from collections.abc import Sequence
from typing import Any, Literal

from ticketsmith.experiment.base import API_VERSION, KIND, fingerprint
from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.decision import Event
from ticketsmith_operator.controller.views import ExperimentView
from ticketsmith_operator.names import MANAGER

LONGEST = 1024
"""Characters of a message that the API server takes."""
_MORE = "; and more"
_PASSING = ("RoundStarted", "RoundDone")
"""Reasons that others outrank where they are told together, the least first."""


def stories(view: ExperimentView, events: Sequence[Event], now: float) -> list[dict[str, Any]]:
    """The Events to post: what happened well in one, what did not in another."""
    told = []
    kinds: tuple[Literal["Normal", "Warning"], ...] = ("Normal", "Warning")
    for kind in kinds:
        some = [event for event in events if event.kind == kind]
        if some:
            told.append(_body(view, kind, _reason(some), _message(some), now))
    return told


def repeated(known: dict[str, Any], now: float) -> dict[str, Any]:
    """The patch of an Event that happened once more."""
    return {
        "count": int(known.get("count") or 1) + 1,
        "lastTimestamp": rfc3339(int(now)),
    }


def _reason(events: Sequence[Event]) -> str:
    def rank(event: Event) -> int:
        passing = event.reason in _PASSING
        return _PASSING.index(event.reason) if passing else len(_PASSING)

    return max(events, key=rank).reason


def _message(events: Sequence[Event]) -> str:
    text = "; ".join(event.message for event in events)
    return text if len(text) <= LONGEST else text[: LONGEST - len(_MORE)] + _MORE


def _body(view: ExperimentView, kind: str, reason: str, message: str, now: float) -> dict[str, Any]:
    namespace, name = view.key
    moment = rfc3339(int(now))
    # The name is made of what is told: telling it again after a crash finds it there.
    digest = fingerprint([view.uid, kind, reason, message])
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": f"{name}.{digest}"},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": namespace,
            "name": name,
            "uid": view.uid,
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": MANAGER},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
