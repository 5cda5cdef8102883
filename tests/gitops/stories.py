"""An experiment in every state that it can be in, as `plan` leaves it: what people and tools then read of it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from lab import Lab

from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.endings import not_accepted
from ticketsmith.experiment.status import UNSEEN, Status

Resource = dict[str, Any]
GENERATION = 2
PROBLEM = "spec.limits.retries is -1: write 0 or more"
_PRICED = replace(Prices(), hourly=Decimal("3.6"), currency="USD")
_CONTRADICTION = {"rewind": "900ep"}


def _gate(on_fail: str) -> list[dict[str, Any]]:
    return [{"metric": "accuracy", "maxDrop": 0.02, "onFail": on_fail}]


def _begun(prices: Prices | None = None, capacity: int = 100, **spec: Any) -> Lab:
    """An experiment after its first turn."""
    lab = Lab(capacity, prices, **spec)
    metadata = lab.experiment.metadata.model_copy(
        update={"generation": GENERATION, "namespace": "ns", "uid": "1"}
    )
    lab.experiment = lab.experiment.model_copy(update={"metadata": metadata})
    lab.tick()
    return lab


def _finished(poor: str = "none", **spec: Any) -> Lab:
    """Carried to its end; the rounds whose names begin so do badly."""
    lab = _begun(**spec)
    lab.finish(lambda name: 0.5 if name.startswith(poor) else 0.98)
    return lab


def _gate_failed() -> Lab:
    lab = _begun(gates=_gate("fail"))
    lab.done("dense-s0")
    lab.done("ticket-s0-l01", accuracy=0.5)
    return lab


def _round_failed() -> Lab:
    lab = _begun()
    lab.failed("dense-s0", 2)
    return lab


def _too_late() -> Lab:
    lab = _begun(limits={"deadlineSeconds": 60})
    lab.sees("dense-s0")
    lab.tick(after=100)
    return lab


def _budget(most: str, *rounds: str) -> Lab:
    """Rounds of 100 seconds, a tenth of a dollar each, until it is spent."""
    lab = _begun(_PRICED, limits={"maxCost": most})
    for name in rounds:
        lab.done(name, after=100.0)
    return lab


def _suspended() -> Lab:
    lab = _begun()
    lab.change(suspend=True)
    lab.tick()
    return lab


def _refused(lab: Lab) -> Lab:
    """Its spec was made wrong while it was under way."""
    lab.status = not_accepted(lab.status, PROBLEM, lab.now, GENERATION)
    return lab


def _told_by_an_earlier_operator(lab: Lab) -> Lab:
    """Its end was written before Ready, Reconciling and Stalled were known; then this operator has its turn."""
    assert lab.status is not None
    known = tuple(
        one for one in lab.status.conditions if one.type in ("Accepted", "Progressing", "Complete")
    )
    lab.status = lab.status.model_copy(update={"conditions": known})
    lab.tick(after=3600)
    return lab


_LABS: dict[str, tuple[str, Callable[[], Lab]]] = {
    "Pending Waiting": ("InProgress", lambda: _begun(capacity=0)),
    "Running RoundsRunning": ("InProgress", _begun),
    "Running BudgetReached": ("InProgress", lambda: _budget("0.25", "dense-s0", "ticket-s0-l01")),
    "Suspended Suspended": ("InProgress", _suspended),
    "Succeeded AllRoundsDone": ("Current", _finished),
    "Succeeded GateStopped": (
        "Current",
        lambda: _finished(
            "ticket-s0-l02", gates=_gate("stop"), sparsities={"targets": [0.5, 0.8, 0.9]}
        ),
    ),
    "Succeeded BudgetReached": (
        "Current",
        lambda: _budget("0.25", "dense-s0", "ticket-s0-l01", "report"),
    ),
    "Failed NoTicketPassed": ("Failed", lambda: _finished("ticket", gates=_gate("stop"))),
    "Failed BudgetReached": ("Failed", lambda: _budget("0.15", "dense-s0", "report")),
    "Failed DeadlineExceeded": ("Failed", _too_late),
    "Failed RoundFailed": ("Failed", _round_failed),
    "Failed GateFailed": ("Failed", _gate_failed),
    "Failed InvalidSpec": ("Failed", lambda: _begun(pruning=_CONTRADICTION)),
    "Running, then refused": ("Failed", lambda: _refused(_begun())),
    "Suspended, then refused": ("Failed", lambda: _refused(_suspended())),
    "Succeeded, told by an earlier operator": (
        "Current",
        lambda: _told_by_an_earlier_operator(_finished()),
    ),
    "Failed, told by an earlier operator": (
        "Failed",
        lambda: _told_by_an_earlier_operator(_round_failed()),
    ),
}


def resource(lab: Lab) -> Resource:
    """As the API server holds it."""
    document = lab.experiment.model_copy(update={"status": lab.status}).document()
    return {**document, "apiVersion": "ticketsmith.dev/v1alpha1", "kind": "PruningExperiment"}


STORIES: dict[str, tuple[str, Resource]] = {
    name: (verdict, resource(tell())) for name, (verdict, tell) in _LABS.items()
}
"""By name: what kstatus shall make of it, and the resource."""

_NEW = resource(Lab()) | {
    "metadata": {"name": "trial", "namespace": "ns", "generation": 1, "uid": "1"}
}
UNTOUCHED: Resource = {**_NEW, "status": {"observedGeneration": UNSEEN}}
"""Nobody has looked at it yet."""


def changed(story: Resource) -> Resource:
    """The same, after its spec was changed and before the operator noticed."""
    return {**story, "metadata": {**story["metadata"], "generation": GENERATION + 1}}


def status(story: Resource) -> Status:
    """Its status, read back."""
    return Status.model_validate(story["status"])
