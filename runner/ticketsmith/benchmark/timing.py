"""Time several networks side by side, so that whatever disturbs the machine disturbs all of them alike."""

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ticketsmith.benchmark.summary import Times

Pass = Callable[[], None]
"""One forward pass that has truly ended, on the device, when it returns."""
Clock = Callable[[], int]
"""Nanoseconds of a clock that never goes back."""
Fresh = Callable[[], Pass]
"""Makes a new copy of a network, somewhere else in memory, ready to run."""

SAMPLE_NS = 2_000_000
"""Shortest sample: below this the scheduler's and the timer's noise would drown a small network."""
_SEED = 20190306


@dataclass(frozen=True, slots=True)
class Sampled:
    """The times of one network, in milliseconds."""

    passes: Times
    """Every timed pass, of shape (repeats * loops,): percentiles are taken over these."""
    samples: Times
    """Median pass of each repeat, of shape (repeats,): these are paired with the dense network's. A mean would
    follow the one pass in which the scheduler took the core away."""


def interleave(
    networks: Mapping[str, Fresh],
    *,
    repeats: int,
    warmup: int,
    clock: Clock = time.perf_counter_ns,
    told: Callable[[int], None] | None = None,
) -> dict[str, Sampled]:
    """Run every network once a repeat, in an order drawn anew each time with a fixed seed.

    Each repeat runs a fresh copy of each network. Where weights lie in memory changes a pass by a per cent or so,
    for as long as they lie there; with one copy for all repeats that would pass for a speedup, however many
    repeats there are.

    Args:
        networks: what to run, by name.
        repeats: samples of each network. A sample is as many passes as the quickest network needs to fill
            SAMPLE_NS, the same number for all.
        warmup: untimed passes of each network before the first sample.
        told: hears the number of each finished repeat, between samples.
    """
    names = list(networks)
    loops = max(_loops(fresh(), warmup, clock) for fresh in networks.values())
    taken = {name: np.empty((repeats, loops), dtype=np.float64) for name in names}
    rng = np.random.default_rng(_SEED)
    with _no_garbage_collection():
        for repeat in range(repeats):
            for index in rng.permutation(len(names)):
                name = names[index]
                run = networks[name]()
                run()  # brings the copy's memory in; the pages of a new copy are still cold
                taken[name][repeat] = _sample(run, loops, clock)
            if told:
                told(repeat + 1)
    return {
        name: Sampled(passes=times.reshape(-1), samples=np.median(times, axis=1))
        for name, times in taken.items()
    }


def _loops(run: Pass, warmup: int, clock: Clock) -> int:
    """Warm up, and find how many passes fill SAMPLE_NS."""
    for _ in range(warmup):
        run()
    quickest = min(_sample(run, 3, clock)) * 1e6
    return max(1, math.ceil(SAMPLE_NS / max(quickest, 1.0)))


def _sample(run: Pass, loops: int, clock: Clock) -> list[float]:
    """Milliseconds of each of `loops` passes, one straight after the other."""
    stamps = [clock()]
    for _ in range(loops):
        run()
        stamps.append(clock())
    return [(after - before) / 1e6 for before, after in itertools.pairwise(stamps)]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
