"""Flux waits by kstatus: the real library is asked about an experiment in every state that it can be in."""

from collections.abc import Callable
from typing import get_args

import pytest
from kstatus import Verdict
from stories import STORIES, UNTOUCHED, changed, status

from ticketsmith.experiment.endings import Reason
from ticketsmith.experiment.status import Phase

Ask = Callable[..., list[Verdict]]


def told(name: str) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    _, story = STORIES[name]
    return {one.type: (one.status, one.reason) for one in status(story).conditions}


def test_the_stories_tell_of_every_phase_and_every_ending() -> None:
    states = [status(story) for _, story in STORIES.values()]
    assert {one.phase for one in states} == set(get_args(Phase))
    assert {one.reason for one in states} >= set(get_args(Reason))
    for name, (_, story) in STORIES.items():
        phase, *reason = name.replace(",", "").split()[:2]
        assert status(story).phase == phase
        if "," not in name:
            assert status(story).reason == reason[0]


def test_every_state_is_what_it_should_be(kstatus: Ask) -> None:
    verdicts = kstatus([story for _, story in STORIES.values()])
    found = dict(zip(STORIES, (one.status for one in verdicts), strict=True))
    assert found == {name: verdict for name, (verdict, _) in STORIES.items()}


def test_a_change_of_spec_is_in_progress_until_the_operator_has_seen_it(kstatus: Ask) -> None:
    verdicts = kstatus([changed(story) for _, story in STORIES.values()])
    assert {one.status for one in verdicts} == {"InProgress"}


def test_a_new_experiment_is_in_progress_before_anybody_has_seen_it(kstatus: Ask) -> None:
    (verdict,) = kstatus([UNTOUCHED])
    assert verdict.status == "InProgress"
    silent = {key: part for key, part in UNTOUCHED.items() if key != "status"}
    (verdict,) = kstatus([silent])
    assert verdict.status == "Current", "kstatus waits of itself now: the CRD's default can go"


def test_what_is_being_deleted_is_terminating(kstatus: Ask) -> None:
    _, story = STORIES["Running RoundsRunning"]
    metadata = {**story["metadata"], "deletionTimestamp": "2025-06-15T15:06:40Z"}
    (verdict,) = kstatus([{**story, "metadata": metadata}])
    assert verdict.status == "Terminating"


def test_the_message_is_the_one_a_person_reads(kstatus: Ask) -> None:
    unfinished = [
        story for verdict, story in STORIES.values() if verdict in ("InProgress", "Failed")
    ]
    for verdict, story in zip(kstatus(unfinished), unfinished, strict=True):
        assert verdict.message == status(story).message


@pytest.mark.parametrize("name", list(STORIES))
def test_ready_is_true_with_the_answer_and_never_else(name: str) -> None:
    phase = status(STORIES[name][1]).phase
    ready, _ = told(name)["Ready"]
    assert (ready == "True") == (phase == "Succeeded")
    assert (ready == "Unknown") == (phase in ("Pending", "Running") and "refused" not in name)


@pytest.mark.parametrize("name", list(STORIES))
def test_what_is_out_of_the_ordinary_is_told_only_while_it_is(name: str) -> None:
    verdict, story = STORIES[name]
    found = told(name)
    abnormal = {kind for kind in ("Reconciling", "Stalled") if kind in found}
    assert {found[kind][0] for kind in abnormal} <= {"True"}
    suspended = status(story).phase == "Suspended" and verdict != "Failed"
    expected = {"InProgress": {"Reconciling"}, "Failed": {"Stalled"}, "Current": set[str]()}
    assert abnormal == (set() if suspended else expected[verdict])
