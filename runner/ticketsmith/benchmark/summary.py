"""Timed passes turned into figures: percentiles, and a paired speedup with its bootstrap interval."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 20190306
_BLOCK = 2_000_000
"""Most numbers drawn at once, so that many repeats do not cost much memory."""


class Ratio(NamedTuple):
    """A ratio of times with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def percentile(times: Times, share: float) -> float:
    """The time that `share` (0 to 1) of the passes stayed under, linearly interpolated."""
    return float(np.quantile(times, share))


def speedup(dense: Times, other: Times) -> Ratio:
    """How many times faster `other` ran: the median over repeats of dense[i] / other[i].

    Both hold one time per repeat, of shape (repeats,), taken in the same repeat, so that a machine that slows
    down for a while slows down both sides of a pair. The interval is the percentile bootstrap over repeats
    (Efron 1979) with a fixed seed: equal times give equal intervals.
    """
    if dense.shape != other.shape or dense.ndim != 1 or not dense.size:
        raise ValueError(f"times must pair up; their shapes are {dense.shape} and {other.shape}")
    ratios = dense / other
    low, high = _bootstrap_median(ratios)
    return Ratio(float(np.median(ratios)), low, high)


def speedup_over_all(copies: Sequence[Times], other: Times) -> Ratio:
    """The speedup over several copies of the dense network: the interval reaches over all their intervals.

    A report makes a dozen such comparisons, and at 95% each, every fifth report would name a speedup that is
    none. So an artifact counts as faster only where it beats every copy; that errs to the side of no speedup.
    """
    each = [speedup(copy, other) for copy in copies]
    middle = float(np.median(np.concatenate([copy / other for copy in copies])))
    return Ratio(middle, min(one.low for one in each), max(one.high for one in each))


def _bootstrap_median(values: Times) -> tuple[float, float]:
    rng = np.random.default_rng(_SEED)
    rows = max(1, min(RESAMPLES, _BLOCK // values.size))
    medians: list[Times] = []
    for start in range(0, RESAMPLES, rows):
        drawn = rng.integers(0, values.size, size=(min(rows, RESAMPLES - start), values.size))
        medians.append(np.median(values[drawn], axis=1))
    tail = (1.0 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(medians), [tail, 1.0 - tail])
    return float(low), float(high)
