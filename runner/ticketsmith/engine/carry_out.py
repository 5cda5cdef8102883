"""Carry out one training round, from its spec to result.json. Started again it answers at once, or goes on."""

import time
from collections.abc import Callable

import torch

from ticketsmith.engine import arms, data, memory, models
from ticketsmith.engine.artifacts import finished
from ticketsmith.engine.attempt import StoredAttempt
from ticketsmith.engine.data import Data
from ticketsmith.engine.device import choose_device, prepare
from ticketsmith.engine.publish import Work, publish
from ticketsmith.engine.stopping import StopSignals
from ticketsmith.engine.training import batches, train
from ticketsmith.experiment.contract import RoundResult, TrainRound
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import CHECKPOINT, Progress
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
        return finished(store, task.key) or _work(
            task, store, progress, device or choose_device(), stop or StopSignals()
        )


def _work(
    task: TrainRound,
    store: Store,
    progress: Callable[[Progress], None],
    device: torch.device,
    stop: StopSignals,
) -> RoundResult:
    begun = time.time()
    prepare(device)
    attempt = StoredAttempt(task.name, task.key, store, progress, stop)
    attempt.say("loading")
    with memory.told_if_exhausted(None, task.training, device):
        loaded = data.load(task.dataset, device)
        rewind_step = _rewind_step(task, loaded)
        beginning = arms.begin(
            task,
            store,
            lambda: models.build(task.model, loaded.input_shape, loaded.num_classes),
            rewind_step,
        )
    model = beginning.model
    memory.check_fits(model, task.training, device)
    attempt.rewind_step = rewind_step if task.arm == "dense" else None
    checkpoint = attempt.resume()
    seconds_before = checkpoint.state.seconds if checkpoint else 0.0

    # What comes after training is short: a signal then finds the round done rather than its end thrown away.
    with memory.told_if_exhausted(model, task.training, device), stop.deferred():
        state = train(
            model.to(device),
            loaded,
            task.training,
            seed=task.seed,
            mask=beginning.mask,
            begin=beginning.step,
            checkpoint=checkpoint,
            attempt=attempt,
        )
        work = Work(
            task, model, beginning.mask, beginning.step, state, loaded, begun, seconds_before
        )
        result = publish(work, store, attempt)
    store.remove(task.key, CHECKPOINT)
    return result


def _rewind_step(task: TrainRound, loaded: Data) -> int:
    """The step to rewind to, which must leave something to train."""
    epoch_length = len(batches(loaded, task.training, task.seed))
    step = task.rewind.total(epoch_length)
    if step >= task.training.duration.total(epoch_length):
        raise BadSpec(
            f"pruning.rewind is {task.rewind}, not before the end of training.duration"
            f" {task.training.duration}: rewind to an earlier step"
        )
    return step
