"""From a training round's spec to its trained network: load, begin, resume, train."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from ticketsmith.engine import data, memory, models
from ticketsmith.engine.arms import Beginning, Build
from ticketsmith.engine.attempt import StoredAttempt
from ticketsmith.engine.data import Data
from ticketsmith.engine.publish import Work
from ticketsmith.engine.scoring import Sight
from ticketsmith.engine.stopping import StopSignals
from ticketsmith.engine.training import batches, train
from ticketsmith.experiment.contract import TrainRound
from ticketsmith.experiment.problems import BadSpec

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Means:
    """What a round works with."""

    attempt: StoredAttempt
    device: torch.device
    stop: StopSignals


def conduct(
    task: TrainRound,
    means: Means,
    begin: Callable[[Build, int, Sight], Beginning],
    finish: Callable[[Work], Outcome],
    *,
    keep_rewind: bool,
) -> Outcome:
    """Train as `task` says and hand what came of it to `finish`.

    Args:
        begin: Given what builds the network, the step to rewind to, and what scores may read: where training begins.
        finish: Stores what is wanted. A signal to stop waits for it.
        keep_rewind: Whether the weights at the rewind step go to the store.

    Raises:
        Problem: BadSpec, BrokenNumbers or DoesNotFit, in one sentence.
    """
    begun = time.time()
    attempt, device = means.attempt, means.device
    attempt.say("loading")
    loaded = data.load(task.dataset, device)
    rewind_step = _rewind_step(task, loaded)
    outline = _outline(task, loaded)
    memory.check_fits(outline, task.training, device)

    with memory.told_if_exhausted(outline, task.training, device):
        beginning = begin(
            lambda: models.build(task.model, loaded.input_shape, loaded.num_classes),
            rewind_step,
            Sight(loaded, device),
        )
        model = beginning.model.to(device)
        attempt.rewind_step = rewind_step if keep_rewind else None
        checkpoint = attempt.resume()
        seconds_before = checkpoint.state.seconds if checkpoint else 0.0
        # What comes after training is short: a signal then finds the round done rather than its end thrown away.
        with means.stop.deferred():
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
            return finish(
                Work(
                    task,
                    model,
                    beginning.mask,
                    beginning.step,
                    state,
                    loaded,
                    begun,
                    seconds_before,
                )
            )


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
