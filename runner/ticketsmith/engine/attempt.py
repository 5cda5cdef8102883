"""One attempt at a round, as the training loop sees it: whom it tells, where it saves, when it must stop."""

import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ticketsmith.engine import checkpoint, tensors
from ticketsmith.engine.checkpoint import Checkpoint, TrainingState
from ticketsmith.engine.stopping import Interrupted, StopSignals
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import CHECKPOINT, REWIND, Progress
from ticketsmith.stores.base import Store

Tell = Callable[[Progress], None]

CHECKPOINT_VARIABLE = "TICKETSMITH_CHECKPOINT_SECONDS"
CHECKPOINT_SECONDS = 30.0
SAVING_SHARE = 0.1
"""Largest part of the time that saving takes where the variable does not say how often: a checkpoint that goes to
another machine may take long."""
TELL_SECONDS = 0.5


class Attempt:
    """What the loop calls. This base does nothing: training then leaves no trace but the trained model."""

    rewind_step: int | None = None
    """The step before which `keep` is to be called."""

    def keep(self, model: nn.Module) -> str:
        """Take the weights to rewind to; returns the file's SHA-256."""
        del model
        return ""

    def tell(self, state: TrainingState, total: int, epoch_length: int) -> None:
        """Called after every step."""

    @property
    def save_due(self) -> bool:
        """Whether the loop should call `save` before its next step."""
        return False

    def save(
        self, state: TrainingState, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Take a checkpoint; Interrupted after it if the process was told to stop."""


class StoredAttempt(Attempt):
    """An attempt whose checkpoints and rewind weights go to the store."""

    doing = "training"
    """What is told while it trains."""

    def __init__(
        self, round_name: str, key: str, store: Store, tell: Tell, stop: StopSignals
    ) -> None:
        self._progress = Progress(round=round_name, doing="loading")
        self._key = key
        self._store = store
        self._tell = tell
        self._stop = stop
        chosen = _checkpoint_seconds()
        self._every = CHECKPOINT_SECONDS if chosen is None else chosen
        self._share = SAVING_SHARE if chosen is None else 1.0
        self._save_at = time.monotonic() + self._every
        self._tell_at = 0.0

    def say(self, doing: str) -> None:
        """Tell the driver what goes on outside of training."""
        self._tell(self._with(doing=doing))

    def _with(self, **changes: Any) -> Progress:
        self._progress = self._progress.model_copy(update=changes)
        return self._progress

    def resume(self) -> Checkpoint | None:
        """The last checkpoint, if there is a whole one; a damaged one is told, removed and forgotten."""
        try:
            file = self._store.fetch(self._key, CHECKPOINT)
        except BadSpec:
            return None
        found = checkpoint.read(file)
        if found is None:
            self.say("loading (the checkpoint is damaged: beginning anew)")
            self._store.remove(self._key, CHECKPOINT)
            return None
        self._with(resumed_at=found.state.step)
        return found

    def keep(self, model: nn.Module) -> str:
        file = self._store.scratch(self._key) / REWIND
        return self._store.put(self._key, REWIND, tensors.write(model.state_dict(), file))

    def tell(self, state: TrainingState, total: int, epoch_length: int) -> None:
        now = time.monotonic()
        if now < self._tell_at and state.step < total:
            return
        self._tell_at = now + TELL_SECONDS
        last = state.history[-1] if state.history else None
        told = self._with(
            doing=self.doing,
            iteration=state.step,
            iterations=total,
            epoch=state.step / epoch_length,
            epochs=total / epoch_length,
            loss=state.mean_loss,
            accuracy=last.val_accuracy if last else None,
        )
        self._tell(told)

    @property
    def save_due(self) -> bool:
        return self._stop.noted is not None or time.monotonic() >= self._save_at

    def save(
        self, state: TrainingState, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        begun = time.monotonic()
        file = self._store.scratch(self._key) / CHECKPOINT
        self._store.put(self._key, CHECKPOINT, checkpoint.write(file, state, model, optimizer))
        now = time.monotonic()
        self._save_at = now + max(self._every, (now - begun) * (1.0 / self._share - 1.0))
        if self._stop.noted is not None:
            raise Interrupted(self._stop.noted, state.step)


def _checkpoint_seconds() -> float | None:
    """Seconds between checkpoints as the environment says; None if it does not."""
    text = os.environ.get(CHECKPOINT_VARIABLE, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadSpec(
            f"{CHECKPOINT_VARIABLE} is {text!r}: write seconds between checkpoints, 0 for every step"
        )
    return seconds
