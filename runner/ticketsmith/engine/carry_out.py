"""Carry out one training round, from its spec to result.json. Started again it answers at once, or goes on."""

from collections.abc import Callable
from functools import partial

import torch

from ticketsmith.engine import arms
from ticketsmith.engine.artifacts import finished
from ticketsmith.engine.attempt import StoredAttempt
from ticketsmith.engine.conduct import Means, conduct
from ticketsmith.engine.device import choose_device, prepare
from ticketsmith.engine.publish import publish
from ticketsmith.engine.reliance import Reliance, needed_of_parents
from ticketsmith.engine.stopping import StopSignals
from ticketsmith.experiment.contract import RoundResult, TrainRound
from ticketsmith.experiment.results import CHECKPOINT, USED, Progress
from ticketsmith.stores.base import Store


def carry_out(
    task: TrainRound,
    store: Store,
    *,
    progress: Callable[[Progress], None],
    device: torch.device | None = None,
    stop: StopSignals | None = None,
) -> RoundResult:
    """Do the round, or answer from its result.json if it is done.

    Args:
        progress: Told what goes on, about twice a second.
        device: Where to compute; None chooses, see `choose_device`.
        stop: Signals that end training after a checkpoint, by Interrupted; None listens to none.

    Raises:
        Problem: BadSpec, BrokenNumbers or DoesNotFit, in one sentence.
    """
    with store.exclusive(task.key):
        answer = finished(store, task.key)
        if answer is not None:
            store.touch(task.key, USED)
            return answer
        return _work(task, store, progress, device or choose_device(), stop or StopSignals())


def _work(
    task: TrainRound,
    store: Store,
    progress: Callable[[Progress], None],
    device: torch.device,
    stop: StopSignals,
) -> RoundResult:
    prepare(device)
    reliance = Reliance(task.name, store, progress, device, stop)
    for key, names in needed_of_parents(task):
        reliance.on(key, names)
    attempt = StoredAttempt(task.name, task.key, store, progress, stop)
    result = conduct(
        task,
        Means(attempt, device, stop),
        partial(arms.begin, task, store),
        lambda done: publish(done, store, attempt),
        keep_rewind=task.arm == "dense",
    )
    store.remove(task.key, CHECKPOINT)
    return result
