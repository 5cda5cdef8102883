"""duration: epochs, iterations, or both."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketsmith.experiment.duration import PATTERN, Duration


@pytest.mark.parametrize(
    ("text", "epochs", "iterations", "total"),
    [
        ("20ep", 20, 0, 2000),
        ("50000it", 0, 50000, 50000),
        ("10ep50it", 10, 50, 1050),
        ("0it", 0, 0, 0),
        ("0ep", 0, 0, 0),
    ],
)
def test_reading(text: str, epochs: int, iterations: int, total: int) -> None:
    assert Duration.parse(text) == Duration(epochs, iterations)
    assert Duration.parse(text).total(100) == total
    assert re.fullmatch(PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "20", "ep", "20 ep", "1.5ep", "-1ep", "50it10ep", "20EP", "12345678ep", "1ep "]
)
def test_refusing(text: str) -> None:
    with pytest.raises(ValueError, match=r"write epochs \(20ep\)"):
        Duration.parse(text)
    assert not re.fullmatch(PATTERN, text)


@given(st.integers(0, 10**7 - 1), st.integers(0, 10**9 - 1))
def test_writing_and_reading_agree(epochs: int, iterations: int) -> None:
    duration = Duration(epochs, iterations)
    assert Duration.parse(str(duration)) == duration
    assert re.fullmatch(PATTERN, str(duration))
