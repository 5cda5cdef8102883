"""The learning rate as a pure function of the step, so that a resumed round needs no scheduler state."""

import math
from bisect import bisect_right
from collections.abc import Callable

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import TrainingSpec

Schedule = Callable[[int], float]


def schedule(spec: TrainingSpec, iterations_per_epoch: int) -> Schedule:
    """The learning rate at step 0, 1, 2, ... of a training of `spec.duration`.

    Warmup rises linearly from zero at step 0 to the peak at step `warmup`. Cosine falls from there to zero at the
    step after the last. BadSpec if warmup leaves no step at the peak.
    """
    shape = spec.lr_schedule
    peak = spec.optimizer.lr
    total = spec.duration.total(iterations_per_epoch)
    warmup = shape.warmup.total(iterations_per_epoch)
    if warmup >= total:
        raise BadSpec(
            f"training.lrSchedule.warmup is {shape.warmup}, not shorter than training.duration"
            f" {spec.duration}: shorten the warmup or train longer"
        )
    milestones = sorted(m.total(iterations_per_epoch) for m in shape.milestones)

    def at(step: int) -> float:
        if step < warmup:
            return peak * step / warmup
        if shape.name == "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))
        return peak * shape.gamma ** bisect_right(milestones, step)

    return at
