"""ledger: short lines that keep what the plan needs, and a status that stays small."""

from decimal import Decimal
from typing import Any

import pytest

from ticketsmith.experiment.ledger import DETAILS, LATEST, arrange, read, recall, write
from ticketsmith.experiment.status import RoundStatus

FULL = {"accuracy": 0.981234567891, "loss": 0.06, "valAccuracy": 0.98, "valLoss": 0.07}


def one(name: str, state: str = "Done", **more: Any) -> RoundStatus:
    arm, *numbers = name.split("-")
    level = int(numbers[1][1:]) if len(numbers) > 1 else 0 if arm == "dense" else None
    seed = int(numbers[0][1:]) if numbers else None
    return RoundStatus(
        name=name, arm=arm, seed=seed, level=level, state=state, **{"attempts": 1, **more}
    )


KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "known",
    [
        one("dense-s0", key=KEY, sparsity=0.0, metrics=FULL, duration_seconds=12.345),
        one("dense-s12", key=KEY, metrics={"valAccuracy": 1.0}, attempts=7),
        one("ticket-s0-l03", key=KEY, sparsity=0.488, gate="passed", metrics={"accuracy": 0.98}),
        one("ticket-s0-l03", key=KEY, gate="failed", metrics={"valAccuracy": 0.5, "accuracy": 1.0}),
        one("ticket-s0-l100", key=KEY, gate="failed", ends_branch=True, duration_seconds=1e-05),
        one("random-s2147483647-l01", "Failed", key=KEY),
        one("benchmark", key=KEY, duration_seconds=3.0),
        one("report", "Running", key=KEY, started_at="2025-06-15T15:06:40.5Z", failures=2),
        one("reinit-s0-l01", "Waiting", failures=1, gpu_seconds=7.5, cost=Decimal("0.000012")),
        one("reinit-s0-l01", "Stopped", attempts=0),
    ],
)
def test_what_the_plan_needs_comes_back(known: RoundStatus) -> None:
    line = write(known, "accuracy")
    assert read(line) == known
    assert write(read(line), "accuracy") == line


def test_only_the_metric_tickets_are_chosen_by_is_kept() -> None:
    known = one("ticket-s0-l01", key=KEY, metrics=FULL)
    assert read(write(known, "accuracy")).metrics == {"accuracy": 0.981235, "valAccuracy": 0.98}
    assert read(write(known, "loss")).metrics == {"loss": 0.06, "valLoss": 0.07}


def test_a_usual_line_is_short() -> None:
    known = one(
        "random-s2-l10", key=KEY, sparsity=0.892626, gate="passed", metrics=FULL,
        duration_seconds=123.456,
    )  # fmt: skip
    assert len(write(known, "accuracy")) < 75


@pytest.mark.parametrize(
    "line", ["", "ticket-s0-l01", "ticket-s0-l01 Zz -", "t-x-y Dp -", "a Dp - s!"]
)
def test_a_damaged_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"status\.ledger holds a line that cannot be read"):
        read(line)


def test_running_and_failed_rounds_stand_first_and_the_latest_finished_follow() -> None:
    rounds = [one(f"ticket-s0-l{i:02d}", key=KEY) for i in range(1, 4)]
    known = {r.name: r for r in [*rounds, one("random-s0-l01", "Failed"), one("report", "Running")]}
    shown, lines = arrange(known, ["ticket-s0-l02", "ticket-s0-l03"], (), "accuracy")
    assert [r.name for r in shown] == [
        "report", "random-s0-l01", "ticket-s0-l03", "ticket-s0-l02", "ticket-s0-l01",
    ]  # fmt: skip
    assert lines == ()


def test_older_rounds_move_to_the_ledger_and_stay_there() -> None:
    rounds = {f"ticket-s{i}-l01": one(f"ticket-s{i}-l01", key=KEY) for i in range(300)}
    shown, lines = arrange(rounds, list(rounds), (), "accuracy")
    assert [r.name for r in shown] == [f"ticket-s{i}-l01" for i in range(299, 299 - LATEST, -1)]
    assert [read(line).name for line in lines] == [f"ticket-s{i}-l01" for i in range(300 - LATEST)]
    again = recall(shown, lines)
    assert again.keys() == rounds.keys()
    assert arrange(again, [], lines, "accuracy") == (shown, lines)


def test_more_running_rounds_than_fit_in_detail_are_not_forgotten() -> None:
    rounds = {
        f"dense-s{i}": one(
            f"dense-s{i}", "Running", key=KEY, started_at="2025-06-15T15:06:40Z", failures=i % 3
        )
        for i in range(250)
    }
    shown, lines = arrange(rounds, [], (), "accuracy")
    assert len(shown) == DETAILS
    assert recall(shown, lines) == rounds
    less = {name: r for name, r in recall(shown, lines).items() if int(name[7:]) >= 200}
    shown, lines = arrange(
        less, [], [line for line in lines if read(line).name in less], "accuracy"
    )
    assert {r.name for r in shown} == less.keys()
    assert lines == ()
