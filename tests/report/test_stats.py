import pytest

from ticketsmith.report.stats import estimate, paired


def test_interval_of_three_seeds_matches_the_t_table() -> None:
    """Mean 98.2, standard deviation 0.2, t(0.975, 2) = 4.30265: half width 4.30265 * 0.2 / sqrt(3)."""
    found = estimate([98.0, 98.2, 98.4])
    assert found.mean == pytest.approx(98.2)
    assert found.half_width == pytest.approx(0.49683, abs=1e-5)
    assert (found.low, found.high) == pytest.approx((97.70317, 98.69683), abs=1e-5)


@pytest.mark.parametrize(("n", "t"), [(2, 12.70620), (5, 2.77645), (11, 2.22814), (31, 2.04227)])
def test_quantiles_are_students(n: int, t: float) -> None:
    values = [1.0, -1.0] * (n // 2) + [0.0] * (n % 2)
    found = estimate(values)
    deviation = (2 * (n // 2) / (n - 1)) ** 0.5
    assert found.half_width == pytest.approx(t * deviation / n**0.5, rel=1e-5)


def test_one_seed_has_no_interval_and_excludes_nothing() -> None:
    found = estimate([0.98])
    assert (found.mean, found.n, found.low, found.high) == (0.98, 1, None, None)
    assert not found.excludes_zero


def test_no_value_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        estimate([])


def test_pairing_takes_out_what_seeds_have_in_common() -> None:
    dense = {0: 0.90, 1: 0.95, 2: 0.99}
    ticket = {0: 0.89, 1: 0.94, 2: 0.98}
    found = paired(dense, ticket)
    assert found is not None
    assert found.mean == pytest.approx(0.01)
    assert found.half_width == pytest.approx(0.0, abs=1e-12)
    assert found.excludes_zero


def test_pairing_uses_shared_seeds_only() -> None:
    found = paired({0: 1.0, 1: 2.0}, {1: 0.5, 2: 9.0})
    assert found is not None
    assert (found.mean, found.n) == (1.5, 1)
    assert paired({0: 1.0}, {1: 1.0}) is None
