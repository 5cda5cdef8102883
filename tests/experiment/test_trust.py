"""What of an edited status is relied on."""

from collections.abc import Callable
from typing import Any

import pytest

from ticketsmith.experiment.ledger import write
from ticketsmith.experiment.status import RoundStatus, Status, Usage
from ticketsmith.experiment.trust import trusted

KEY = "0123456789abcdef"
SOUND = RoundStatus(
    name="dense-s0", arm="dense", seed=0, level=0, state="Done", attempts=1, key=KEY
)


def test_what_a_plan_wrote_is_kept_as_it_is(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.finish()
    status = lab.status.model_copy(update={"ledger": (write(SOUND, "accuracy"),)})
    assert trusted(status, lab.experiment.spec) is status


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "no such round"},
        {"name": "dense-s9", "seed": 9},
        {"arm": "ticket"},
        {"seed": None},
        {"level": 1},
        {"key": None},
        {"key": "what is this"},
        {"attempts": 0},
        {"attempts": -1},
        {"attempts": 10**18},
        {"failures": -1},
        {"duration_seconds": 1e308},
        {"gpu_seconds": -1.0},
    ],
    ids=str,
)
def test_a_round_that_cannot_be_is_left_out(
    changes: dict[str, Any], make_experiment: Callable[..., Any]
) -> None:
    status = Status(rounds=(SOUND, SOUND.model_copy(update=changes)))
    assert trusted(status, make_experiment().spec).rounds == (SOUND,)


def test_a_round_that_waits_need_not_have_begun(make_experiment: Callable[..., Any]) -> None:
    waiting = SOUND.model_copy(update={"state": "Waiting", "attempts": 0, "key": None})
    status = Status(rounds=(waiting,))
    assert trusted(status, make_experiment().spec) is status


def test_a_line_that_cannot_be_read_is_left_out(make_experiment: Callable[..., Any]) -> None:
    sound = write(SOUND, "accuracy")
    foreign = write(SOUND.model_copy(update={"name": "dense-s9"}), "accuracy")
    status = Status(ledger=("what is this", sound, foreign))
    assert trusted(status, make_experiment().spec).ledger == (sound,)


def test_an_absurd_usage_is_forgotten(make_experiment: Callable[..., Any]) -> None:
    status = Status(usage=Usage(duration_seconds=1e308))
    assert trusted(status, make_experiment().spec).usage == Usage()
