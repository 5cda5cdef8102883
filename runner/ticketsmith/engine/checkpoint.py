"""The whole state of an unfinished training in one file, so that a killed round resumes bit-identical.

Tensors are named model.*, best.*, optimizer.<parameter>.<state> and rng.*; everything else is JSON in the header,
with a digest of the tensors, so that a damaged file is noticed and never used.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ticketsmith.engine import tensors
from ticketsmith.experiment.problems import Problem
from ticketsmith.experiment.results import Evaluation


@dataclass
class TrainingState:
    """Where training stands between two steps, beside the weights and the optimizer."""

    step: int
    """Optimizer steps done: the next step has this number."""
    started_at: float
    """Unix time at which the first attempt began."""
    seconds: float = 0.0
    """Time spent training, all attempts together."""
    loss_sum: float = 0.0
    """Over the batches since the last evaluation."""
    loss_count: int = 0
    history: list[Evaluation] = field(default_factory=list)
    rewind_sha256: str | None = None
    """Of the rewind weights in the store, once they are kept."""
    best: dict[str, Tensor] | None = None
    """Weights and buffers at the lowest validation loss, where the spec selects them."""

    @property
    def lowest(self) -> Evaluation:
        """The evaluation with the lowest validation loss, the earliest of equals."""
        return min(self.history, key=lambda line: line.val_loss)

    @property
    def mean_loss(self) -> float | None:
        """Mean training loss since the last evaluation, or what that evaluation found; None before any step."""
        if self.loss_count:
            return self.loss_sum / self.loss_count
        return self.history[-1].train_loss if self.history else None


def write(
    file: Path, state: TrainingState, model: nn.Module, optimizer: torch.optim.Optimizer
) -> Path:
    """Write everything that the next step depends on to `file`."""
    held = {f"model.{name}": value for name, value in model.state_dict().items()}
    held |= {f"best.{name}": value for name, value in (state.best or {}).items()}
    for parameter, values in optimizer.state_dict()["state"].items():
        held |= {f"optimizer.{parameter}.{name}": value for name, value in values.items()}
    held["rng.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        held["rng.cuda"] = torch.cuda.get_rng_state()
    plain = {name: value for name, value in vars(state).items() if name != "best"}
    plain["history"] = [line.model_dump(mode="json") for line in state.history]
    metadata = {"state": json.dumps(plain), "digest": tensors.digest(held)}
    return tensors.write(held, file, metadata)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read from disk, whole and verified."""

    state: TrainingState
    model: dict[str, Tensor]
    optimizer: dict[int, Any]
    rng: dict[str, Tensor]

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put weights, optimizer and random numbers back to where they were."""
        tensors.load_into(model, self.model, "the checkpoint")
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": self.optimizer, "param_groups": groups})
        torch.set_rng_state(self.rng["cpu"])
        if "cuda" in self.rng and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.rng["cuda"])


def read(file: Path) -> Checkpoint | None:
    """The checkpoint in `file`, or None if it is damaged: then training begins anew."""
    try:
        held, metadata = tensors.read_with_metadata(file)
        if metadata["digest"] != tensors.digest(held):
            return None
        plain = json.loads(metadata["state"])
        history = [Evaluation.model_validate(line) for line in plain.pop("history")]
    except (Problem, OSError, KeyError, json.JSONDecodeError, ValidationError):
        return None
    optimizer: dict[int, Any] = {}
    for name, value in _part(held, "optimizer").items():
        parameter, _, entry = name.partition(".")
        optimizer.setdefault(int(parameter), {})[entry] = value
    return Checkpoint(
        state=TrainingState(**plain, history=history, best=_part(held, "best") or None),
        model=_part(held, "model"),
        optimizer=optimizer,
        rng=_part(held, "rng"),
    )


def _part(held: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = prefix + "."
    return {name.removeprefix(start): t for name, t in held.items() if name.startswith(start)}
