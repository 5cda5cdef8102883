"""envelope: a round of any size reaches its process through the environment, or says why it did not."""

import os
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketsmith.experiment.contract import ReportRound, read_round
from ticketsmith.experiment.envelope import PIECE, pack, unpack

MOST = 128 * 1024
"""Bytes Linux allows one variable, name and final zero included."""


def report(lines: int, note: str = "") -> ReportRound:
    """A report round with a ledger of that many lines, whose figures do not compress well."""
    random = Random(0)
    ledger = [
        f"ticket-s{i:02}-l01 Dp {random.getrandbits(64):016x} t{random.random():.6f} a{random.random():.6f}"
        for i in range(lines)
    ]
    resource = {"note": note, "status": {"ledger": ledger}}
    return ReportRound(name="report", experiment="x", runner_version="1", resource=resource)


@pytest.mark.parametrize(
    ("lines", "variables"), [(0, 1), (1_000, 1), (3_000, 2), (20_000, 7)], ids=str
)
def test_a_round_of_any_size_comes_out_as_it_went_in(lines: int, variables: int) -> None:
    told = report(lines)
    packed = pack(told)
    assert len(packed) == variables
    assert all(len(f"{name}={value}\0".encode()) <= MOST for name, value in packed.items())
    assert read_round(unpack({"OTHER": "x", **packed}) or "") == told


def test_a_small_round_can_be_read_as_it_stands() -> None:
    assert read_round(pack(report(3))["TICKETSMITH_ROUND"]) == report(3)


@given(note=st.text(st.sampled_from('$()\\"u0024Aß\n'), max_size=40))
def test_a_text_survives_and_nothing_in_it_can_be_expanded(note: str) -> None:
    packed = pack(report(0, note))
    assert not any("$" in value for value in packed.values())
    assert read_round(unpack(packed) or "") == report(0, note)


def test_twenty_thousand_rounds_start_a_process() -> None:
    """The most rounds a spec may ask for, handed to a real process."""
    told = report(20_000)
    read = (
        "import os; from ticketsmith.experiment.contract import read_round;"
        "from ticketsmith.experiment.envelope import unpack; print(read_round(unpack(os.environ)).key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", read],
        env={**os.environ, **pack(told)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == told.key


@pytest.mark.parametrize("environment", [{}, {"TICKETSMITH_ROUND": ""}])
def test_where_no_round_is_told_there_is_none(environment: dict[str, str]) -> None:
    assert unpack(environment) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TICKETSMITH_ROUND_2": None}, "TICKETSMITH_ROUND_2 is missing of 3 pieces"),
        ({"TICKETSMITH_ROUND_2": "A" * PIECE}, "its 3 pieces do not fit together"),
        ({"TICKETSMITH_ROUND_1": "?"}, "its 3 pieces do not fit together"),
        ({"TICKETSMITH_ROUND": "zlib:2"}, "its 2 pieces do not fit together"),
    ],
)
def test_a_damaged_one_is_refused(change: dict[str, str | None], words: str) -> None:
    changed = {**pack(report(8_000)), **change}
    packed = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(ValueError, match=words):
        unpack(packed)
