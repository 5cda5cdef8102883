"""What a watcher sees: plain lines, and bars, from the same tellings."""

import io

import pytest
from rich.console import Console

from ticketsmith.cli.bars import BarsView
from ticketsmith.cli.pace import Pace
from ticketsmith.cli.plain import QUIET_SECONDS, PlainView
from ticketsmith.cli.words import duration
from ticketsmith.experiment.contract import Arm, RoundResult
from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.experiment.steps import Step
from ticketsmith.experiment.view import View

NAME = "ticket-s0-l02"
KEY = "0" * 16


def step(arm: Arm = "ticket") -> Step:
    return Step(NAME, arm, seed=0, level=2, sparsity=0.36, parents=())


def progress(epoch: float, accuracy: float | None, doing: str = "training") -> Progress:
    return Progress(
        round=NAME,
        doing=doing,
        iteration=int(epoch * 10),
        iterations=200,
        epoch=epoch,
        epochs=20,
        loss=0.2434,
        accuracy=accuracy,
    )


def done() -> Observed:
    result = RoundResult(
        key=KEY,
        arm="ticket",
        seed=0,
        level=2,
        remaining=640,
        prunable=1000,
        metrics={"accuracy": 0.975},
    )
    return Observed(NAME, 1, "done", started_at=100.0, finished_at=101.25, answer=result)


def status(settled: int, gate: str | None = "passed") -> Status:
    known = RoundStatus.model_validate(
        {"name": NAME, "arm": "ticket", "state": "Done", "gate": gate}
    )
    return Status(phase="Running", progress=f"{settled}/8", rounds=(known,))


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def a_round(view: View, clock: Clock) -> None:
    view.decided(status(3))
    view.started(step(), 1)
    for epoch in range(1, 21):
        clock.time += 1.0
        view.progressed(progress(epoch, 0.5 + epoch / 100))
    view.ended(done())
    view.decided(status(4))
    view.happened(Event("Normal", "RoundDone", "told otherwise"))
    view.happened(Event("Warning", "GateFailed", "it fails the gate"))
    view.stopping("SIGINT")


def test_plain_lines() -> None:
    lines: list[str] = []
    clock = Clock()
    a_round(PlainView(lines.append, clock), clock)
    epochs = [line for line in lines if "Epoch" in line]
    others = [line for line in lines if line not in epochs]
    assert others == [
        "ticket-s0-l02 | Pruning iteration 2 (sparsity: 36.0%)...",
        "ticket-s0-l02 | Done in 1.2 s | Sparsity: 36.0% (360 of 1,000 weights removed) | Test Acc: 97.5% "
        "| Gate: passed | 4/8 rounds, about 1 min 20 s left",
        "GateFailed: it fails the gate",
        "SIGINT: stopping; running rounds keep a checkpoint (once more: at once)",
    ]
    assert epochs[-1] == "ticket-s0-l02 | Epoch 20/20 | Loss: 0.243 | Val Acc: 70.0%"
    assert len(epochs) == 20 // QUIET_SECONDS


def test_a_round_that_was_answered_from_the_store_has_no_epochs() -> None:
    lines: list[str] = []
    view = PlainView(lines.append, Clock())
    view.started(step("random"), 2)
    view.progressed(progress(0, None, "loading"))
    view.ended(done())
    view.decided(status(1, gate=None))
    assert lines == [
        "ticket-s0-l02 | Training at sparsity 36.0%... (attempt 2)",
        "ticket-s0-l02 | Done in 1.2 s | Sparsity: 36.0% (360 of 1,000 weights removed) | Test Acc: 97.5% "
        "| 1/8 rounds",
    ]


def test_bars_show_level_epoch_loss_accuracy_and_time_left() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, color_system=None, markup=False)
    clock = Clock()
    with BarsView(console, clock) as view:
        view.decided(status(3))
        view.started(step(), 1)
        for epoch in (1, 5):
            clock.time += 10.0
            view.progressed(progress(epoch, 0.953))
        view._bars.refresh()
        shown = screen.getvalue()
        a_round(view, clock)
    for words in (
        f"{NAME} 36.0% sparse",
        "epoch 5/20  loss 0.243  val acc 95.3%",
        "38 s left",
        "3/8 rounds",
    ):
        assert words in shown
    assert "Gate: passed" in screen.getvalue()
    assert "told otherwise" not in screen.getvalue()


def test_pace_knows_nothing_of_what_was_done_before() -> None:
    pace = Pace()
    assert pace.left(0.5, 100.0) is None  # done before anybody looked
    assert pace.left(0.5, 110.0) is None
    assert pace.left(0.75, 120.0) == pytest.approx(20.0)
    assert pace.left(1.0, 130.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.004, "0.00 s"),
        (0.42, "0.42 s"),
        (1.25, "1.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600 * 3 + 60 * 7, "3 h 07 min"),
        (86400 * 2 + 3600 * 4, "2 d 04 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
