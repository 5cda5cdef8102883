"""Carry out a benchmark round, from its spec to result.json."""

import time
from collections.abc import Callable

from ticketsmith.benchmark.artifacts import load
from ticketsmith.benchmark.inputs import load as load_inputs
from ticketsmith.benchmark.measure import measure
from ticketsmith.engine.artifacts import finished, put_text
from ticketsmith.engine.device import choose_device, prepare
from ticketsmith.engine.reliance import Reliance
from ticketsmith.engine.stopping import StopSignals
from ticketsmith.experiment.contract import (
    ANSWER_LIMIT,
    BenchmarkRound,
    RoundResult,
    Timing,
)
from ticketsmith.experiment.results import BENCHMARK, RESULT, USED, WEIGHTS, Progress
from ticketsmith.stores.base import Store


def carry_out(
    task: BenchmarkRound, store: Store, *, progress: Callable[[Progress], None]
) -> RoundResult:
    """Do the round, or answer from its result.json if it is done.

    Raises:
        Problem: an artifact or the data is missing or damaged, in one sentence.
    """
    with store.exclusive(task.key):
        answer = finished(store, task.key)
        if answer is not None:
            store.touch(task.key, USED)
            return answer
        return _work(task, store, progress)


def _work(task: BenchmarkRound, store: Store, progress: Callable[[Progress], None]) -> RoundResult:
    progress(Progress(round=task.name, doing="loading"))
    device = choose_device()
    prepare(device)
    reliance = Reliance(task.name, store, progress, device, StopSignals())
    for key in (task.dense, *task.tickets):
        reliance.on(key, (WEIGHTS,))
    begun = time.time()
    inputs = load_inputs(task.dataset, device, max(task.benchmark.batch_sizes))
    details = measure(
        load(store, task.dense),
        [load(store, key) for key in task.tickets],
        inputs,
        task.benchmark,
        store.scratch(task.key),
        told=lambda done, total: progress(
            Progress(round=task.name, doing="timing", iteration=done, iterations=total)
        ),
    )
    text = details.model_dump_json(indent=1)
    result = RoundResult(
        key=task.key,
        arm="benchmark",
        started_at=begun,
        duration_seconds=time.time() - begun,
        device=details.environment.device,
        gpus=details.environment.gpus,
        files={BENCHMARK: put_text(store, task.key, BENCHMARK, text)},
    )
    pruned = [timing for timing in details.timings if timing.round != task.dense]
    result = _with_timings(result, pruned)
    store.create_text(task.key, RESULT, result.model_dump_json(exclude_none=True))
    return result


def _with_timings(result: RoundResult, timings: list[Timing]) -> RoundResult:
    """The result with as many timings as its answer has room for: small batches first, and of
    one batch size the sparsest networks first."""
    sparsest_first = timings[::-1]
    ordered = sorted(sparsest_first, key=lambda timing: timing.batch_size)
    for count in range(len(ordered), 0, -1):
        full = result.model_copy(update={"timings": tuple(ordered[:count])})
        size = len(full.model_dump_json(exclude_none=True).encode())
        if size <= ANSWER_LIMIT:
            return full
    return result
