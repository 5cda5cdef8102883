"""changes: what a status adds to the one before it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ticketsmith.experiment.contract import RoundError, RoundResult
from ticketsmith.experiment.decision import Observed, Prices, Start, World
from ticketsmith.experiment.ledger import write
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import GateSpec, PruningExperiment
from ticketsmith.experiment.status import Phase, RoundStatus, Status, Usage
from ticketsmith_operator.metrics.changes import Changes, changes

TICKET = "ticket-s0-l01"
ACCURACY = GateSpec(metric="accuracy", max_drop=0.02)
LOSS = GateSpec(metric="loss", worst=0.5)


def one(state: str, name: str = TICKET, **more: Any) -> RoundStatus:
    known = {"arm": name.split("-")[0], "seed": 0, "level": 1, "attempts": 1, **more}
    return RoundStatus(name=name, state=state, **known)


def status(*rounds: RoundStatus, phase: Phase = "Running", **more: Any) -> Status:
    return Status(phase=phase, rounds=rounds, **more)


def filed(*rounds: RoundStatus, **more: Any) -> Status:
    return Status(phase="Running", ledger=tuple(write(r, "accuracy") for r in rounds), **more)


def ended(before: Status | None, after: Status) -> list[tuple[str, str]]:
    return list(changes(before, after, ()).ended)


@pytest.mark.parametrize(
    ("old", "new", "phase", "outcome"),
    [
        (one("Running"), one("Done"), "Running", "done"),
        (one("Running"), one("Failed", failures=1), "Failed", "failed"),
        (one("Running"), one("Waiting", failures=1), "Running", "retried"),
        (one("Running"), one("Running", failures=1, attempts=2), "Running", "retried"),
        (one("Running"), one("Waiting"), "Running", "interrupted"),
        (one("Running"), one("Running", attempts=2), "Running", "interrupted"),
        (one("Running"), one("Waiting"), "Suspended", "stopped"),
        (one("Running"), one("Stopped"), "Failed", "stopped"),
        (one("Waiting"), one("Done"), "Running", "done"),
        (one("Running", failures=2, attempts=3), one("Failed", failures=3), "Failed", "failed"),
        (None, one("Running"), "Running", None),
        (one("Running"), one("Running", started_at="2025-06-15T15:06:40Z"), "Running", None),
        (one("Waiting"), one("Running", attempts=2), "Running", None),
        (one("Waiting", failures=1), one("Stopped", failures=1), "Failed", None),
        (one("Done"), one("Done"), "Succeeded", None),
    ],
)
def test_each_attempt_that_ended_is_told_with_its_outcome(
    old: RoundStatus | None, new: RoundStatus, phase: Phase, outcome: str | None
) -> None:
    before = status() if old is None else status(old)
    assert ended(before, status(new, phase=phase)) == ([("ticket", outcome)] if outcome else [])


def test_the_first_status_has_nothing_before_it() -> None:
    assert changes(None, status(one("Running")), ()) == Changes()


@pytest.mark.parametrize("state", ["Running", "Waiting"])
def test_a_round_that_ends_and_is_filed_at_once_is_counted(state: str) -> None:
    done = one("Done", duration_seconds=7.5)
    new = changes(status(one(state, attempts=2, failures=1)), filed(done), ())
    assert new.ended == (("ticket", "done"),)
    assert new.durations == (("ticket", 7.5),)


@pytest.mark.parametrize("state", ["Done", "Failed", "Stopped"])
def test_a_settled_round_that_is_filed_is_not_counted_again(state: str) -> None:
    before = status(one(state, failures=2, duration_seconds=7.5, gate="passed"))
    after = filed(one(state, duration_seconds=7.5, gate="passed"))
    assert changes(before, after, (ACCURACY,)) == Changes()
    assert changes(after, after, (ACCURACY,)) == Changes()


def test_a_running_round_in_the_ledger_is_counted_when_it_ends() -> None:
    before = filed(one("Running", attempts=2, failures=1))
    assert ended(before, filed(one("Running", attempts=2, failures=1))) == []
    assert ended(before, filed(one("Waiting", attempts=2, failures=2))) == [("ticket", "retried")]
    assert ended(before, status(one("Done", attempts=2))) == [("ticket", "done")]


def test_a_duration_is_told_once_and_only_of_rounds_that_are_done() -> None:
    failed = changes(status(one("Running")), status(one("Failed", duration_seconds=3.0)), ())
    assert failed.durations == ()
    done = status(one("Done", duration_seconds=3.0))
    assert changes(status(one("Running")), done, ()).durations == (("ticket", 3.0),)
    assert changes(done, done, ()).durations == ()


def test_usage_grows_by_failed_attempts_too() -> None:
    before = status(
        one("Running"), usage=Usage(gpu_seconds=10.0, cost=Decimal("1.5"), currency="USD")
    )
    after = status(
        one("Waiting", failures=1),
        usage=Usage(gpu_seconds=12.5, cost=Decimal("1.75"), currency="USD"),
    )
    new = changes(before, after, ())
    assert (new.gpu_seconds, new.cost) == (2.5, Decimal("0.25"))
    assert new.ended == (("ticket", "retried"),)


@pytest.mark.parametrize(
    ("old", "new", "failed", "seconds"),
    [
        (one("Running"), one("Waiting", failures=1, duration_seconds=4.0), {(TICKET, 1)}, 4.0),
        (
            one("Running", attempts=2, failures=1, duration_seconds=4.0),
            one("Running", attempts=3, failures=2, duration_seconds=9.0),
            {(TICKET, 2)},
            5.0,
        ),
        (None, one("Failed", attempts=2, duration_seconds=3.0), {(TICKET, 2)}, 3.0),
        (one("Running"), one("Done", duration_seconds=4.0), set(), 0.0),
        (one("Running"), one("Waiting", duration_seconds=4.0), set(), 0.0),
    ],
)
@pytest.mark.parametrize("is_filed", [False, True])
def test_what_failed_is_told_with_the_time_it_took(
    old: RoundStatus | None,
    new: RoundStatus,
    failed: set[tuple[str, int]],
    seconds: float,
    is_filed: bool,
) -> None:
    before = status() if old is None else status(old)
    told = changes(before, filed(new) if is_filed else status(new), ())
    assert (told.failed, told.failed_seconds) == (failed, seconds)


def test_a_status_edited_backwards_takes_nothing_away() -> None:
    before = status(
        one("Done", gate="passed", duration_seconds=9.0, failures=3, attempts=4),
        one("Waiting", "dense-s0", failures=2),
        usage=Usage(gpu_seconds=10.0, cost=Decimal("1.5"), currency="USD"),
    )
    after = status(one("Running"), one("Waiting", "dense-s0"), usage=Usage(currency="USD"))
    assert changes(before, after, (ACCURACY,)) == Changes()


DENSE = one("Done", "dense-s0", level=0, metrics={"valAccuracy": 0.98, "valLoss": 0.1})


@pytest.mark.parametrize(
    ("gates", "gate", "metrics", "verdicts"),
    [
        ((), "passed", {}, ()),
        ((ACCURACY,), "passed", {"valAccuracy": 0.97}, (("accuracy", "passed"),)),
        ((ACCURACY,), "failed", {"valAccuracy": 0.9}, (("accuracy", "failed"),)),
        (
            (ACCURACY, LOSS),
            "failed",
            {"valAccuracy": 0.97, "valLoss": 0.9},
            (("accuracy", "passed"), ("loss", "failed")),
        ),
        (
            (ACCURACY, LOSS),
            "passed",
            {"valAccuracy": 0.97, "valLoss": 0.2},
            (("accuracy", "passed"), ("loss", "passed")),
        ),
    ],
)
@pytest.mark.parametrize("dense_is_filed", [False, True])
def test_every_gate_of_a_newly_judged_round_is_told(
    gates: Sequence[GateSpec],
    gate: str,
    metrics: dict[str, float],
    verdicts: Sequence[tuple[str, str]],
    dense_is_filed: bool,
) -> None:
    ledger = (write(DENSE, "accuracy"),) if dense_is_filed else ()
    shown = () if dense_is_filed else (DENSE,)
    before = status(one("Running"), *shown, ledger=ledger)
    after = status(one("Done", gate=gate, metrics=metrics), *shown, ledger=ledger)
    assert changes(before, after, gates).verdicts == tuple(verdicts)
    assert changes(after, after, gates).verdicts == ()


class Story:
    """An experiment driven by the real plan; counts what each written status adds."""

    def __init__(self, seeds: int, **limits: Any) -> None:
        spec = {
            "model": {"name": "lenet300"},
            "sparsities": {"targets": [0.5]},
            "controls": [],
            "seeds": list(range(seeds)),
            "benchmark": None,
            "limits": limits,
        }
        self.experiment = PruningExperiment.model_validate(
            {"metadata": {"name": "trial"}, "spec": spec}
        )
        self.now = 1_750_000_000.0
        self.running: dict[str, Start] = {}
        self.added: list[Changes] = []

    def tick(self, *observed: Observed) -> None:
        prices = Prices(Decimal("3.6"), "USD", gpus=1)
        world = World(now=self.now, runner_version="1", machine="lab", capacity=1000, prices=prices)
        before = self.experiment.status
        decision = plan(self.experiment, observed, world)
        self.experiment = self.experiment.model_copy(update={"status": decision.status})
        self.added.append(changes(before, decision.status, self.experiment.spec.gates))
        self.running |= {start.round.name: start for start in decision.start}

    def end(self, failing: Sequence[str] = ()) -> None:
        """All that runs ends at once, ten seconds after it began."""
        began, self.now = self.now, self.now + 10.0
        seen = [
            self._last(start, began, start.round.name in failing) for start in self.running.values()
        ]
        self.running = {}
        self.tick(*seen)

    def _last(self, start: Start, began: float, fails: bool) -> Observed:
        told = start.round
        if fails:
            error = RoundError(exit_code=1, message="boom")
            return Observed(told.name, start.attempt, "failed", began, self.now, error, 1)
        figures = {"accuracy": 0.98, "valAccuracy": 0.98, "loss": 0.1, "valLoss": 0.1}
        trained = {"remaining": 50, "prunable": 100, "metrics": figures}
        arm = told.arm if told.kind == "train" else told.kind
        answer = RoundResult(key=told.key, arm=arm, **(trained if told.kind == "train" else {}))
        return Observed(told.name, start.attempt, "done", began, self.now, answer, 0)


def test_a_whole_experiment_adds_up_to_its_last_status_though_most_rounds_are_filed() -> None:
    story = Story(seeds=100, retries=2)
    story.tick()
    story.end(failing=["dense-s3", "dense-s7"])
    while story.running:
        story.end()
    last = story.experiment.status
    assert last is not None
    assert last.phase == "Succeeded"
    assert len(last.ledger) > 100
    told = [outcome for new in story.added for outcome in new.ended]
    assert sorted(set(told)) == [
        ("dense", "done"), ("dense", "retried"), ("report", "done"), ("ticket", "done"),
    ]  # fmt: skip
    counted = {outcome: told.count(outcome) for outcome in set(told)}
    assert counted["dense", "done"] == counted["ticket", "done"] == 100
    assert counted["dense", "retried"] == 2
    assert sum(len(new.verdicts) for new in story.added) == 100
    assert sum(new.gpu_seconds for new in story.added) == pytest.approx(last.usage.gpu_seconds)
    assert sum(new.cost for new in story.added) == last.usage.cost > 0
    assert {name for new in story.added for name, _ in new.failed} == {"dense-s3", "dense-s7"}
    assert sum(new.failed_seconds for new in story.added) == 20.0
