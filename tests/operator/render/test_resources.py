"""Amounts mean what Kubernetes takes them for."""

from decimal import Decimal

import pytest

from ticketsmith_operator.render.resources import amount


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (3, "3"),
        ("0", "0"),
        ("500m", "0.5"),
        ("2.5", "2.5"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("16Gi", "17179869184"),
        ("1.5Gi", "1610612736"),
        ("2E", "2000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("12e6", "12000000"),
        ("1E3", "1000"),
        ("5e-1", "0.5"),
    ],
)
def test_an_amount_is_the_number_it_stands_for(written: int | str, value: str) -> None:
    assert amount(written) == Decimal(value)


@pytest.mark.parametrize("written", ["", "1kb", "-1", "1 Gi", "Gi", "1mi"])
def test_what_is_no_amount_is_said_so(written: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        amount(written)
