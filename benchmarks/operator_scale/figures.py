"""The arithmetic of the benchmark: from moments and counters to figures. Pure."""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels of a counter."""
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class Played:
    """One Job as the player met it. Times are of one clock, in seconds."""

    chain: str
    """Name of its experiment."""
    met: float
    """When its ADDED event arrived."""
    answered: float | None = None
    """When the PUT that completed it was answered."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Seconds from a round's end to the next Job of its chain."""

    count: int
    p50: float
    p90: float
    p99: float
    longest: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def gaps(played: Iterable[Played], since: float = -math.inf) -> list[float]:
    """The gap after each completed Job that another of its chain followed, for those completed since then."""
    chains: dict[str, list[Played]] = defaultdict(list)
    for one in played:
        chains[one.chain].append(one)
    found = []
    for chain in chains.values():
        chain.sort(key=lambda one: one.met)
        for before, after in itertools.pairwise(chain):
            # A Job may be met before the loop gets round to the answer that made room for it.
            if before.answered is not None and before.answered >= since:
                found.append(max(0.0, after.met - before.answered))
    return found


def summary(values: Sequence[float]) -> Gaps:
    """Percentiles of gaps."""
    shares = (percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0))
    return Gaps(len(values), *shares)


def read_counters(text: str) -> dict[Sample, float]:
    """Every sample of a page in Prometheus' text format."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is not None:
            labels = tuple(sorted(_LABEL.findall(match[2] or "")))
            found[match[1], labels] = float(match[3])
    return found


def grown(before: Mapping[Sample, float], after: Mapping[Sample, float]) -> dict[Sample, float]:
    """By how much each counter rose."""
    return {sample: value - before.get(sample, 0.0) for sample, value in after.items()}


def total(samples: Mapping[Sample, float], name: str, *groups: str) -> dict[tuple[str, ...], float]:
    """The sum of the samples of that name by the values of these labels, without those that are zero."""
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for (found, labels), value in samples.items():
        if found == name and value:
            told = dict(labels)
            sums[tuple(told.get(group, "") for group in groups)] += value
    return dict(sums)


def quantile(samples: Mapping[Sample, float], histogram: str, share: float) -> float:
    """The upper bound of the bucket in which that share of a histogram's observations lies; NaN of nothing."""
    buckets = sorted(
        (float(dict(labels)["le"]), value)
        for (name, labels), value in samples.items()
        if name == f"{histogram}_bucket"
    )
    if not buckets or not buckets[-1][1]:
        return math.nan
    return next(bound for bound, count in buckets if count >= share * buckets[-1][1])
