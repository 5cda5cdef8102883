"""charts/ticketsmith/files/argocd/health.lua says what Argo CD shows of an experiment."""

import copy
from pathlib import Path
from typing import Any

import pytest
from argo_health import health
from lupa.lua51 import LuaError
from stories import STORIES, UNTOUCHED, changed, status

from ticketsmith.experiment.status import Phase

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "charts" / "ticketsmith" / "files" / "argocd" / "health.lua").read_text()
OF_PHASE: dict[Phase, str] = {
    "Pending": "Progressing",
    "Running": "Progressing",
    "Suspended": "Suspended",
    "Succeeded": "Healthy",
    "Failed": "Degraded",
}
WAITING = ("Progressing", "Waiting for the operator to take it up")


@pytest.mark.parametrize("name", list(STORIES))
def test_every_state_has_its_health_and_its_message(name: str) -> None:
    _, story = STORIES[name]
    expected = "Degraded" if "refused" in name else OF_PHASE[status(story).phase]
    assert health(SCRIPT, story) == (expected, status(story).message)


@pytest.mark.parametrize("name", list(STORIES))
def test_a_change_that_nobody_has_seen_is_progressing(name: str) -> None:
    said, message = health(SCRIPT, changed(STORIES[name][1]))
    assert said == "Progressing"
    assert "latest change" in message


def test_without_a_status_it_is_progressing() -> None:
    silent = {key: part for key, part in UNTOUCHED.items() if key != "status"}
    assert health(SCRIPT, UNTOUCHED) == health(SCRIPT, silent) == WAITING


BROKEN: dict[str, Any] = {
    "null": None,
    "empty": {},
    "a text": "Succeeded",
    "a list": ["Succeeded"],
    "no phase": {"observedGeneration": 2},
    "a phase of a later version": {"observedGeneration": 2, "phase": "Dreaming"},
    "a phase that is a number": {"observedGeneration": 2, "phase": 3},
    "a phase that is a mapping": {"observedGeneration": 2, "phase": {}},
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_status_without_a_phase_to_go_by_is_progressing(name: str) -> None:
    story = {**STORIES["Running RoundsRunning"][1], "status": BROKEN[name]}
    assert health(SCRIPT, story) == WAITING


@pytest.mark.parametrize(
    "part",
    [
        {"conditions": "none"},
        {"conditions": [None, "text", 3, {}]},
        {"conditions": {"type": "Accepted"}},
        {"conditions": None},
    ],
    ids=str,
)
def test_whatever_is_broken_in_the_conditions_the_phase_is_told(part: dict[str, Any]) -> None:
    story = copy.deepcopy(STORIES["Succeeded AllRoundsDone"][1])
    story["status"] |= part
    assert health(SCRIPT, story) == ("Healthy", story["status"]["message"])


@pytest.mark.parametrize("message", [None, {"text": "done"}, 3], ids=str)
def test_without_a_message_the_phase_is_one(message: Any) -> None:
    story = copy.deepcopy(STORIES["Succeeded AllRoundsDone"][1])
    story["status"]["message"] = message
    assert health(SCRIPT, story) == ("Healthy", "Succeeded")


def test_a_generation_that_is_missing_is_one_that_nobody_has_seen() -> None:
    story = copy.deepcopy(STORIES["Succeeded AllRoundsDone"][1])
    del story["status"]["observedGeneration"]
    assert health(SCRIPT, story)[0] == "Progressing"


@pytest.mark.parametrize(
    "script", ["return {status = string.upper('healthy')}", "return {status = ('x'):upper()}"]
)
def test_the_interpreter_is_as_bare_as_argo_cd_s(script: str) -> None:
    with pytest.raises(LuaError):
        health(script, UNTOUCHED)
