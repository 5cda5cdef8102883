"""Progress of long work."""

import io

import pytest

from lottery_tickets.running import progress
from lottery_tickets.running.progress import follow


def test_whoever_wants_to_draw_is_told_after_each_step() -> None:
    told: list[tuple[str, int, int | None]] = []
    steps = follow("abc", "scoring", 3, lambda *words: told.append(words))
    assert [(one, len(told)) for one in steps] == [("a", 0), ("b", 1), ("c", 2)]
    assert told == [("scoring", 1, 3), ("scoring", 2, 3), ("scoring", 3, 3)]


def test_a_line_is_written_and_wiped_once_it_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, clock = io.StringIO(), iter([0.0, 1.0, 3.0, 3.1, 6.0])
    monkeypatch.setattr(progress.sys, "stderr", written)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(follow("abcd", "scoring", 4, True)) == list("abcd")
    lines = written.getvalue().split("\r\x1b[K")
    assert lines == ["", "scoring: 2 of 4, about 3 s left", "scoring: 4 of 4, about 0 s left", ""]


def test_it_is_silent_away_from_a_terminal_and_when_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", written)
    assert list(follow("ab", "scoring", None, None)) == list("ab")
    assert list(follow("ab", "scoring", None, False)) == list("ab")
    assert not written.getvalue()
