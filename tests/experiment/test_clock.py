"""clock: RFC 3339 there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketsmith.experiment.clock import rfc3339, unix


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_750_000_000, "2025-06-15T15:06:40Z"),
        (1_750_000_000.25, "2025-06-15T15:06:40.250000Z"),
    ],
)
def test_form(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text
    assert unix(text) == seconds


def test_offsets_are_understood() -> None:
    assert unix("2025-06-15T17:06:40+02:00") == 1_750_000_000


@given(st.floats(0, 4e9))
def test_a_written_time_reads_as_itself(seconds: float) -> None:
    text = rfc3339(seconds)
    assert abs(unix(text) - seconds) < 1e-6
    assert rfc3339(unix(text)) == text
