"""Ready, Reconciling and Stalled: when they change, what is said of them, and what an earlier operator left."""

from pathlib import Path
from typing import Any

import pytest
from lab import Lab
from stories import STORIES, status

from ticketsmith.experiment.status import Condition, Status

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
KSTATUS = ("Ready", "Reconciling", "Stalled")


def conditions(status: Status | None) -> dict[str, Condition]:
    assert status is not None
    return {one.type: one for one in status.conditions}


def test_the_page_explains_exactly_what_is_said() -> None:
    lines = [
        line for line in PAGE.splitlines() if line.startswith(tuple(f"| {k} " for k in KSTATUS))
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in lines]
    explained = {(kind, value, reason) for kind, value, told in rows for reason in told.split(", ")}
    said = {
        (one.type, one.status, one.reason)
        for _, story in STORIES.values()
        for one in status(story).conditions
        if one.type in KSTATUS
    }
    assert explained == said


def test_they_stay_as_they_are_while_rounds_come_and_go() -> None:
    lab = Lab()
    lab.tick()
    first = conditions(lab.status)
    lab.done("dense-s0", after=100)
    second = conditions(lab.status)
    for kind in ("Ready", "Reconciling"):
        assert second[kind].last_transition_time == first[kind].last_transition_time
        assert second[kind].message == lab.status.message
    lab.finish()
    last = conditions(lab.status)
    assert last["Ready"].status == "True"
    assert last["Ready"].last_transition_time > first["Ready"].last_transition_time
    assert "Reconciling" not in last


def test_suspension_takes_reconciling_away_and_resumption_brings_it_back() -> None:
    lab = Lab()
    lab.tick()
    begun = conditions(lab.status)["Reconciling"]
    lab.change(suspend=True)
    lab.tick(after=100)
    assert conditions(lab.status)["Ready"].reason == "Suspended"
    assert not {"Reconciling", "Stalled"} & conditions(lab.status).keys()
    lab.change(suspend=False)
    lab.tick(after=100)
    again = conditions(lab.status)["Reconciling"]
    assert again.last_transition_time > begun.last_transition_time


def test_a_spec_that_is_put_right_is_stalled_no_more() -> None:
    lab = Lab()
    lab.tick()
    going_on = lab.status
    lab.status = status(STORIES["Running, then refused"][1])
    assert "Stalled" in conditions(lab.status)
    lab.tick()
    assert conditions(lab.status).keys() == conditions(going_on).keys()


@pytest.mark.parametrize(
    "name", ["Succeeded, told by an earlier operator", "Failed, told by an earlier operator"]
)
def test_what_an_earlier_operator_left_is_completed_once(name: str) -> None:
    lab = Lab()
    lab.experiment = lab.experiment.model_copy(
        update={"metadata": lab.experiment.metadata.model_copy(update={"generation": 2})}
    )
    lab.status = completed = status(STORIES[name][1])
    lab.tick(after=10_000)
    assert lab.status == completed


@pytest.mark.parametrize("edit", [{"conditions": ()}, {"reason": None, "message": None}], ids=str)
def test_an_ending_that_was_edited_by_hand_is_still_told(edit: dict[str, Any]) -> None:
    lab = Lab()
    lab.status = status(STORIES["Failed RoundFailed"][1]).model_copy(update=edit)
    lab.tick()
    assert conditions(lab.status)["Stalled"].status == "True"
    assert conditions(lab.status)["Stalled"].reason
