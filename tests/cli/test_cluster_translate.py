"""From one status to the next: what a watcher is told, as a table."""

from typing import Any

import pytest

from ticketsmith.cluster.translate import Begun, Telling, show, tellings
from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.ledger import write
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.experiment.steps import steps
from ticketsmith.local.silent import SilentView

STEPS = steps(
    PruningExperiment.model_validate(
        {
            "metadata": {"name": "made-up"},
            "spec": {
                "model": {"name": "lenet300"},
                "sparsities": {"targets": [0.5]},
                "controls": [],
                "seeds": [0],
            },
        }
    ).spec
)
KEY = "0" * 16


def dense(state: str, attempts: int = 1, **more: Any) -> RoundStatus:
    known = {"name": "dense-s0", "arm": "dense", "seed": 0, "level": 0, "key": KEY}
    return RoundStatus.model_validate(known | {"state": state, "attempts": attempts} | more)


def ticket(state: str, attempts: int = 1, **more: Any) -> RoundStatus:
    known = {"name": "ticket-s0-l01", "arm": "ticket", "seed": 0, "level": 1, "key": KEY}
    return RoundStatus.model_validate(known | {"state": state, "attempts": attempts} | more)


def status(*rounds: RoundStatus, **more: Any) -> Status:
    return Status.model_validate({"phase": "Running", **more, "rounds": rounds})


def words(telling: Telling) -> str:
    """A telling in short."""
    match telling:
        case Begun():
            return f"started {telling.step.name} {telling.attempt}"
        case Observed():
            return f"ended {telling.name} {telling.attempt} {telling.state}"
        case Status():
            return "decided"
        case Event():
            return telling.reason


# before, after, what is told
TABLE: list[tuple[Status | None, Status, list[str]]] = [
    # joining: what went before is history
    (None, status(), ["decided"]),
    (
        None,
        status(dense("Done"), ticket("Running", 2, failures=1)),
        ["decided", "started ticket-s0-l01 2"],
    ),
    (None, status(phase="Suspended"), ["decided", "Suspended"]),
    # one step at a time
    (status(), status(dense("Running")), ["decided", "started dense-s0 1"]),
    (status(dense("Running")), status(dense("Running")), ["decided"]),
    (status(dense("Running")), status(dense("Done")), ["ended dense-s0 1 done", "decided"]),
    (
        status(dense("Running")),
        status(dense("Done"), ticket("Running")),
        ["ended dense-s0 1 done", "decided", "started ticket-s0-l01 1"],
    ),
    (
        status(dense("Running")),
        status(dense("Waiting", failures=1, message="exit code 1: lost")),
        ["ended dense-s0 1 failed", "decided", "RoundRetried"],
    ),
    (
        status(dense("Waiting", failures=1)),
        status(dense("Running", 2, failures=1)),
        ["decided", "started dense-s0 2"],
    ),
    (
        status(dense("Running")),
        status(dense("Waiting")),
        ["ended dense-s0 1 interrupted", "decided", "RoundInterrupted"],
    ),
    (
        status(dense("Running", 3)),
        status(dense("Failed", 3, failures=3), phase="Failed"),
        ["ended dense-s0 3 failed", "decided", "RoundFailed"],
    ),
    (
        status(dense("Running")),
        status(dense("Stopped"), phase="Failed"),
        ["ended dense-s0 1 interrupted", "decided"],
    ),
    # gates
    (
        status(dense("Done"), ticket("Running")),
        status(dense("Done"), ticket("Done", gate="failed")),
        ["ended ticket-s0-l01 1 done", "decided", "GateFailed"],
    ),
    (
        status(dense("Done"), ticket("Done", gate="failed")),
        status(dense("Done"), ticket("Done", gate="failed")),
        ["decided"],
    ),
    # suspended and back
    (
        status(dense("Running")),
        status(dense("Waiting"), phase="Suspended"),
        ["ended dense-s0 1 interrupted", "decided", "Suspended"],
    ),
    (
        status(dense("Waiting"), phase="Suspended"),
        status(dense("Running", 2)),
        ["decided", "Resumed", "started dense-s0 2"],
    ),
    (status(), status(reason="BudgetReached"), ["decided", "BudgetReached"]),
    (status(reason="BudgetReached"), status(reason="BudgetReached"), ["decided"]),
    # looks far apart
    (
        status(),
        status(dense("Done"), ticket("Running")),
        ["started dense-s0 1", "ended dense-s0 1 done", "decided", "started ticket-s0-l01 1"],
    ),
    (
        status(dense("Running")),
        status(dense("Running", 2, failures=1)),
        ["ended dense-s0 1 failed", "decided", "RoundRetried", "started dense-s0 2"],
    ),
    (
        status(dense("Running")),
        status(dense("Running", 2)),
        ["ended dense-s0 1 interrupted", "decided", "started dense-s0 2"],
    ),
    (
        status(dense("Running")),
        status(dense("Done", 3, failures=2)),
        [
            "ended dense-s0 1 failed",
            "started dense-s0 3",
            "ended dense-s0 3 done",
            "decided",
            "RoundRetried",
        ],
    ),
    (
        status(dense("Waiting")),
        status(dense("Done")),  # it was stopped, and had ended well just before
        ["ended dense-s0 1 done", "decided"],
    ),
    # a round moved into the ledger is old news
    (
        status(dense("Done")),
        status(ledger=[write(dense("Done"), "accuracy")]),
        ["decided"],
    ),
    # what the spec does not plan is not shown
    (status(), status(dense("Running").model_copy(update={"name": "dense-s9"})), ["decided"]),
]


@pytest.mark.parametrize(("before", "after", "told"), TABLE)
def test_what_is_told_between_two_looks(
    before: Status | None, after: Status, told: list[str]
) -> None:
    assert [words(telling) for telling in tellings(before, after, STEPS)] == told


def test_a_round_that_is_done_tells_its_time_and_figures() -> None:
    began = dense("Running", startedAt="2026-01-01T00:00:10Z", durationSeconds=4.0)
    done = dense("Done", durationSeconds=6.5, metrics={"accuracy": 0.975})
    (ended, _) = tellings(status(began), status(done), STEPS)
    assert isinstance(ended, Observed)
    assert isinstance(ended.answer, RoundResult)
    assert ended.answer.metrics == {"accuracy": 0.975}
    assert (ended.finished_at or 0.0) - (ended.started_at or 0.0) == 2.5


def test_every_telling_is_a_call_of_the_view() -> None:
    class Recorder(SilentView):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __getattribute__(self, name: str) -> Any:
            if name in {"started", "ended", "decided", "happened"}:
                self.calls.append(name)
            return super().__getattribute__(name)

    view = Recorder()
    before, after = status(dense("Running")), status(dense("Waiting"), ticket("Running"))
    show(view, tellings(before, after, STEPS))
    assert view.calls == ["ended", "decided", "happened", "started"]
