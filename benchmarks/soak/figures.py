"""The arithmetic of the soak. Pure."""

import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from soak.operators import Weight


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through means of one minute each, by least squares; 95% interval by Student's t."""

    per_hour: float
    """MB an hour."""
    low: float
    high: float
    minutes: int
    first_mb: float
    """Mean of the first minute."""
    last_mb: float


def slope(weights: Iterable[Weight]) -> Slope | None:
    """How memory grew; None with less than four whole minutes. Readings side by side are alike, so means are taken."""
    groups = itertools.groupby(weights, key=lambda one: int(one.at // 60))
    means = [
        (60.0 * minute, statistics.fmean(one.resident_mb for one in group))
        for minute, group in groups
    ][:-1]
    if len(means) < 4:
        return None
    at, mb = np.array(means).T
    line = stats.linregress(at / 3600, mb)
    margin = float(stats.t.ppf(0.975, len(means) - 2)) * line.stderr
    return Slope(line.slope, line.slope - margin, line.slope + margin, len(means), mb[0], mb[-1])
