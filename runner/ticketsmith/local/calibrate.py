"""How long this experiment's rounds would take here, from a few real training steps and passes."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from ticketsmith import __version__
from ticketsmith.engine import data, models
from ticketsmith.engine.attempt import Attempt
from ticketsmith.engine.carry_out import carry_out
from ticketsmith.engine.checkpoint import TrainingState
from ticketsmith.engine.data import Data
from ticketsmith.engine.device import choose_device, prepare
from ticketsmith.engine.evaluation import evaluate
from ticketsmith.engine.training import batches, train
from ticketsmith.experiment.contract import TrainRound
from ticketsmith.experiment.duration import Duration
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith.stores.directory import DirectoryStore

ENOUGH_SECONDS = 2.0
"""Steps are timed for about so long."""
_FIRST_STEPS = 5
"""Timed to learn how many fit; the very first are slower."""
_MOST_STEPS = 200
SHORTEST = 2
"""Optimizer steps of the round that is carried out whole, to learn what a round costs besides its steps."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measured on this machine, one process alone."""

    step_seconds: float
    """Median of one optimizer step."""
    steps_timed: int
    evaluation_seconds: float
    """One pass over the validation split."""
    round_steps: int
    """Optimizer steps of one round."""
    round_evaluations: int
    benchmark_seconds: float
    """One network's passes at every batch size of spec.benchmark; 0 without a benchmark."""

    def round_seconds(self, shortest: float) -> float:
        """What one training round would take, when one of SHORTEST steps takes `shortest` seconds."""
        steps = self.round_steps - SHORTEST
        evaluations = self.round_evaluations - 2
        more = steps * self.step_seconds + evaluations * self.evaluation_seconds
        return max(0.0, shortest + more)


def calibrate(spec: ExperimentSpec) -> Calibration:
    """Train for about ENOUGH_SECONDS and look at the clock. Nothing is kept."""
    device = choose_device()
    prepare(device)
    loaded = data.load(spec.dataset, device)
    torch.manual_seed(0)
    model = models.build(spec.model, loaded.input_shape, loaded.num_classes).to(device)
    first = statistics.median(_timed_steps(model, loaded, spec, _FIRST_STEPS))
    steps = _timed_steps(model, loaded, spec, _how_many(ENOUGH_SECONDS / max(first, 1e-6)))
    epoch = len(batches(loaded, spec.training, 0))
    total = spec.training.duration.total(epoch)
    return Calibration(
        step_seconds=statistics.median(steps),
        steps_timed=len(steps),
        evaluation_seconds=_evaluation_seconds(model, loaded, spec),
        round_steps=total,
        round_evaluations=1 + -(-total // spec.training.evaluate_every.total(epoch)),
        benchmark_seconds=_benchmark_seconds(model, loaded, spec),
    )


def shortest_round(spec: ExperimentSpec) -> None:
    """Carry out a dense round of SHORTEST steps, evaluated at both ends, in a store that is thrown away."""
    length = Duration(iterations=SHORTEST)
    training = spec.training.model_copy(update={"duration": length, "evaluate_every": length})
    with tempfile.TemporaryDirectory(prefix="ticketsmith-") as folder:
        carry_out(
            TrainRound(
                name="shortest",
                experiment="calibration",
                runner_version=__version__,
                arm="dense",
                seed=0,
                level=0,
                sparsity=0.0,
                model=spec.model,
                dataset=spec.dataset,
                training=training,
                rewind=Duration(),
            ),
            DirectoryStore(Path(folder)),
            progress=lambda _: None,
        )


class _Clock(Attempt):
    """Notes when each step ended."""

    def __init__(self, device: torch.device) -> None:
        self.ends: list[float] = []
        self._device = device

    def tell(self, state: TrainingState, total: int, epoch_length: int) -> None:
        """See Attempt.tell."""
        del state, total, epoch_length
        _wait_for(self._device)
        self.ends.append(time.perf_counter())


def _timed_steps(model: nn.Module, loaded: Data, spec: ExperimentSpec, steps: int) -> list[float]:
    """Seconds of each of `steps` training steps; the first (set-up) and the last (an evaluation) are left out."""
    length = Duration(iterations=steps + 2)
    clock = _Clock(loaded.train.labels.device)
    changes = {"duration": length, "evaluate_every": length}
    train(
        model,
        loaded,
        spec.training.model_copy(update=changes),
        seed=0,
        mask={},
        attempt=clock,
    )
    inner = clock.ends[:-1]
    return [end - start for start, end in pairwise(inner)]


def _how_many(fit: float) -> int:
    return max(_FIRST_STEPS, min(_MOST_STEPS, int(fit)))


def _evaluation_seconds(model: nn.Module, loaded: Data, spec: ExperimentSpec) -> float:
    begun = time.perf_counter()
    evaluate(model, loaded.validation, loaded, spec.training.precision)
    return time.perf_counter() - begun


@torch.no_grad()
def _benchmark_seconds(model: nn.Module, loaded: Data, spec: ExperimentSpec) -> float:
    if spec.benchmark is None:
        return 0.0
    model.eval()
    total = 0.0
    for size in spec.benchmark.batch_sizes:
        images = torch.zeros(size, *loaded.input_shape, device=loaded.train.labels.device)
        model(images)
        _wait_for(images.device)
        begun = time.perf_counter()
        model(images)
        _wait_for(images.device)
        passes = spec.benchmark.warmup + spec.benchmark.repeats
        total += passes * (time.perf_counter() - begun)
    return total


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
