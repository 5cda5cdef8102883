"""The few statistics a report needs: means over seeds, and paired differences, each with a 95% interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit  # type: ignore[import-untyped]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` seeds. One seed has no interval: nothing says how much another would differ."""

    mean: float
    n: int
    half_width: float | None = None
    """Half the width of the two-sided 95% t-interval; None where n is 1."""

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero. Never so without an interval."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95% interval by Student's t, which holds for few seeds if they scatter about normally.

    Raises ValueError where there is no value.
    """
    n = len(values)
    if not n:
        raise ValueError("the mean of no values is asked for")
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, 1)
    quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    return Estimate(mean, n, quantile * math.sqrt(_variance(values) / n))


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate | None:
    """Mean of first minus second over the seeds that both have, or None where they share none.

    Pairing by seed takes out what the two have in common: the initialisation and the order of the data.
    """
    shared = sorted(first.keys() & second.keys())
    return estimate([first[seed] - second[seed] for seed in shared]) if shared else None


def unpaired(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean of `first` minus mean of `second` where they share no seed, with Welch's 95% interval; `n` counts both.

    Raises ValueError where one of them has no value.
    """
    one, other = estimate(first), estimate(second)
    n = one.n + other.n
    if one.n == 1 or other.n == 1:
        return Estimate(one.mean - other.mean, n)
    errors = [(_variance(values) / len(values), len(values)) for values in (first, second)]
    squared = math.fsum(error for error, _ in errors)
    if squared == 0.0:
        return Estimate(one.mean - other.mean, n, 0.0)
    freedom = squared**2 / math.fsum(error**2 / (count - 1) for error, count in errors)
    quantile = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))
    return Estimate(one.mean - other.mean, n, quantile * math.sqrt(squared))


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
