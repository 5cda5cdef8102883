"""A round is told its work by the environment, whole or in pieces."""

import json
from pathlib import Path

import pytest

from ticketsmith.experiment.contract import ReportRound
from ticketsmith.experiment.envelope import pack
from ticketsmith.round import main

# A report on something that is no experiment: refused at once, but only after it was read.
WRONG = {"kind": "Nothing", "note": [f"{i:x}" for i in range(100_000)]}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a round that needs several pieces."""
    task = ReportRound(name="report", experiment="x", runner_version="1", resource=WRONG)
    packed = pack(task)
    assert len(packed) > 2
    for name, value in packed.items():
        monkeypatch.setenv(name, value)
    return packed


def answer(folder: Path) -> dict[str, object]:
    """What the process of the round ends with."""
    file = folder / "answer.json"
    code = main(["--store", str(folder / "store"), "--answer", str(file)])
    read: dict[str, object] = json.loads(file.read_text())
    assert read["exitCode"] == code
    return read


def test_a_round_in_pieces_is_read(tmp_path: Path, told: dict[str, str]) -> None:
    ended = answer(tmp_path)
    assert ended["exitCode"] == 2
    assert "of the report round is wrong" in str(ended["message"])


def test_a_round_that_lost_a_piece_says_so(
    tmp_path: Path, told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TICKETSMITH_ROUND_2")
    ended = answer(tmp_path)
    assert ended["exitCode"] == 2
    assert "TICKETSMITH_ROUND is damaged: TICKETSMITH_ROUND_2 is missing" in str(ended["message"])
