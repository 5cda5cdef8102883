"""The arithmetic of the soak. Pure."""

import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from soak.operators import Weight

WARM_UP_MINUTES = 5
"""In which a process fills its caches and meets its first rush: no part of a slope that is to tell of a leak."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through means of one minute each, by least squares; 95% interval by Student's t."""

    per_hour: float
    """MB an hour."""
    low: float
    high: float
    minutes: int
    first_mb: float
    """Mean of the first minute of the line."""
    last_mb: float
    begun_mb: float
    """Mean of the first whole minute that the process lived."""


def slope(weights: Iterable[Weight]) -> Slope | None:
    """How memory grew after the warm-up; None with less than four whole minutes of that. Readings side by side are
    alike, so means are taken."""
    groups = itertools.groupby(weights, key=lambda one: int(one.at // 60))
    means = [
        (60.0 * minute, statistics.fmean(one.resident_mb for one in group))
        for minute, group in groups
    ][1:-1]
    if len(means) < WARM_UP_MINUTES + 4:
        return None
    begun = means[0][1]
    at, mb = np.array(means[WARM_UP_MINUTES:]).T
    line = stats.linregress(at / 3600, mb)
    margin = float(stats.t.ppf(0.975, len(mb) - 2)) * line.stderr
    low, high = line.slope - margin, line.slope + margin
    return Slope(line.slope, low, high, len(mb), float(mb[0]), float(mb[-1]), begun)
