import numpy as np
import pytest

from ticketsmith.benchmark.summary import percentile, speedup, speedup_over_all


def test_percentiles_interpolate() -> None:
    times = np.arange(1.0, 101.0)
    assert percentile(times, 0.5) == pytest.approx(50.5)
    assert percentile(times, 0.95) == pytest.approx(95.05)


def test_a_constant_ratio_has_no_width() -> None:
    dense = np.linspace(1.0, 2.0, 20)
    assert speedup(dense, dense / 2) == pytest.approx((2.0, 2.0, 2.0))


def test_drift_that_both_share_cancels() -> None:
    """The machine gets ten times slower on the way; pairs do not care."""
    drift = np.linspace(1.0, 10.0, 40)
    noise = np.random.default_rng(0).normal(1.0, 0.01, (2, 40))
    found = speedup(drift * noise[0], drift * noise[1])
    assert found.low < 1.0 < found.high
    assert found.high - found.low < 0.03


def test_a_real_difference_is_found_and_its_interval_excludes_one() -> None:
    noise = np.random.default_rng(1).normal(1.0, 0.02, (2, 50))
    found = speedup(1.2 * noise[0], noise[1])
    assert 1.15 < found.low < found.value < found.high < 1.25


def test_equal_networks_exclude_one_about_as_seldom_as_they_should() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(100):
        dense, other = rng.lognormal(0.0, 0.05, (2, 50))
        found = speedup(dense, other)
        wrong += not found.low <= 1.0 <= found.high
    assert wrong <= 16  # 5 expected at 5%; 16 is beyond the 99.99% point


def test_the_interval_is_the_same_every_time() -> None:
    dense, other = np.random.default_rng(3).lognormal(0.0, 0.1, (2, 30))
    assert speedup(dense, other) == speedup(dense, other)


def test_many_repeats_are_resampled_in_blocks() -> None:
    dense, other = np.random.default_rng(4).lognormal(0.0, 0.1, (2, 4_000))
    found = speedup(dense, other)
    assert found.low < found.value < found.high


def test_times_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="pair up"):
        speedup(np.ones(3), np.ones(4))


def test_a_speedup_must_hold_over_every_copy_of_the_dense_network() -> None:
    """One copy of the dense network happens to be two per cent slow throughout."""
    noise = np.random.default_rng(5).normal(1.0, 0.005, (3, 50))
    well, badly, other = noise[0], 1.02 * noise[1], noise[2]
    assert speedup(badly, other).low > 1.0
    found = speedup_over_all([badly, well], other)
    assert found.low < 1.0 < found.value < 1.02 < found.high
    assert speedup_over_all([badly, well], other / 1.5).low > 1.4
