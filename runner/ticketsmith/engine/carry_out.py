"""Carry out one training round, from its spec to result.json. Started again it answers at once, or goes on."""

import time
from collections.abc import Callable

import torch
from torch import nn

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
    loaded = data.load(task.dataset, device)
    rewind_step = _rewind_step(task, loaded)
    outline = _outline(task, loaded)
    memory.check_fits(outline, task.training, device)

    with memory.told_if_exhausted(outline, task.training, device):
        beginning = arms.begin(
            task,
            store,
            lambda: models.build(task.model, loaded.input_shape, loaded.num_classes),
            rewind_step,
        )
        model = beginning.model.to(device)
        attempt.rewind_step = rewind_step if task.arm == "dense" else None
        checkpoint = attempt.resume()
        seconds_before = checkpoint.state.seconds if checkpoint else 0.0
        # What comes after training is short: a signal then finds the round done rather than its end thrown away.
        with stop.deferred():
            state = train(
                model,
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


def _outline(task: TrainRound, loaded: Data) -> nn.Module:
    """The network's shapes alone, without memory, so that it can be counted before it is built."""
    with torch.device("meta"):
        shapes = task.model.model_copy(update={"weights": None})
        return models.build(shapes, loaded.input_shape, loaded.num_classes)


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
