"""Checkpoints: what is written comes back bit for bit, and what is damaged is never used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ticketsmith.engine import checkpoint, tensors
from ticketsmith.engine.carry_out import carry_out
from ticketsmith.engine.checkpoint import TrainingState
from ticketsmith.engine.optimizers import optimizer as make_optimizer
from ticketsmith.engine.stopping import Interrupted, StopSignals
from ticketsmith.experiment import results
from ticketsmith.experiment.contract import RoundResult, TrainRound
from ticketsmith.experiment.results import Evaluation, Progress
from ticketsmith.experiment.spec import OptimizerSpec
from ticketsmith.stores.base import Store

Work = Callable[[TrainRound], RoundResult]
CPU = torch.device("cpu")
OPTIMIZERS = [
    OptimizerSpec(name="sgd", lr=0.1),
    OptimizerSpec(name="sgd", lr=0.1, momentum=0.9, nesterov=True),
    OptimizerSpec(name="adam", lr=0.01, weight_decay=0.01),
    OptimizerSpec(name="adamw", lr=0.01, weight_decay=0.01),
]


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)
    )


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int, first: int) -> None:
    for step in range(first, first + count):
        batch = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        cross_entropy(model(batch), torch.arange(8) % 3).backward()
        optimizer.step()


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda s: f"{s.name}-{s.momentum}")
def test_going_on_from_a_checkpoint_ends_with_the_same_bits(
    tmp_path: Path, spec: OptimizerSpec
) -> None:
    """Batch-norm buffers, optimizer state with its step counts and dropout's random numbers included."""
    model = network(1)
    optimizer = make_optimizer(spec, model.parameters(), CPU)
    steps(model, optimizer, 3, 0)
    line = Evaluation(
        iteration=3,
        epoch=0.1,
        train_loss=None,
        val_loss=0.1,
        val_accuracy=0.7,
        learning_rate=0.1,
        seconds=1.5,
    )
    state = TrainingState(3, 17.25, 1.5, 0.1 + 0.2, 3, [line], "ab", tensors.snapshot(model))
    file = checkpoint.write(tmp_path / "c.safetensors", state, model, optimizer)
    steps(model, optimizer, 4, 3)

    found = checkpoint.read(file)
    assert found is not None
    other = network(2)
    again = make_optimizer(spec, other.parameters(), CPU)
    found.restore(other, again)
    assert found.state.history == [line]
    assert (found.state.step, found.state.loss_sum) == (3, 0.1 + 0.2)
    assert tensors.digest(found.state.best or {}) == tensors.digest(found.model)
    steps(other, again, 4, 3)
    assert tensors.digest(other.state_dict()) == tensors.digest(model.state_dict())


@pytest.mark.parametrize("place", [0, 100, -1, None], ids=["length", "header", "data", "cut"])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, place: int | None) -> None:
    model = network(1)
    optimizer = make_optimizer(OPTIMIZERS[2], model.parameters(), CPU)
    file = checkpoint.write(tmp_path / "c.safetensors", TrainingState(0, 0.0), model, optimizer)
    raw = bytearray(file.read_bytes())
    if place is None:
        raw = raw[: len(raw) // 2]
    else:
        raw[place] ^= 0x41
    file.write_bytes(raw)
    assert checkpoint.read(file) is None


def interrupted_at(task: TrainRound, store: Store, step: int, **changes: Any) -> None:
    """Carry the round out up to `step`, where the process is told to stop."""
    stop = StopSignals()

    def listen(progress: Progress) -> None:
        if progress.iteration >= step:
            stop.noted = 15

    with pytest.raises(Interrupted):
        carry_out(task, store, progress=listen, device=CPU, stop=stop)


@pytest.fixture
def told_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketsmith.engine.attempt.TELL_SECONDS", 0.0)


@pytest.mark.usefixtures("told_each_step")
@pytest.mark.parametrize("step", [1, 3, 20])
def test_a_stopped_round_goes_on_and_ends_with_the_same_weights(
    make_round: Any, work: Work, store: Store, tmp_path: Path, step: int
) -> None:
    from ticketsmith.stores import open_store

    training = {"select": "bestValidation", "evaluateEvery": "7it"}
    task = make_round(training=training, rewind="3it")
    interrupted_at(task, store, step)
    assert store.read_text(task.key, results.RESULT) is None
    lines: list[Progress] = []
    resumed = carry_out(task, store, progress=lines.append, device=CPU)
    assert lines[-1].resumed_at == step
    other = open_store(str(tmp_path / "other"))
    straight = carry_out(task, other, progress=lambda _: None, device=CPU)
    for name in (results.WEIGHTS, results.REWIND):
        assert resumed.files[name] == straight.files[name]
    assert resumed.metrics == straight.metrics
    assert (resumed.iterations, resumed.best_iteration) == (
        straight.iterations,
        straight.best_iteration,
    )
    assert resumed.started_at is not None


@pytest.mark.usefixtures("told_each_step")
def test_a_damaged_checkpoint_is_told_and_training_begins_anew(
    make_round: Any, store: Store
) -> None:
    task = make_round(training={"duration": "1ep"})
    interrupted_at(task, store, 2)
    file = store.fetch(task.key, results.CHECKPOINT)
    file.write_bytes(file.read_bytes()[:-7])
    lines: list[Progress] = []
    result = carry_out(task, store, progress=lines.append, device=CPU)
    assert any("checkpoint is damaged" in line.doing for line in lines)
    assert all(line.resumed_at is None for line in lines)
    assert result.metrics["accuracy"] > 0


def test_a_checkpoint_holds_no_pickle(make_round: Any, store: Store) -> None:
    """Its header is JSON that names every tensor by type, shape and place."""
    task = make_round(training={"duration": "1ep"})
    interrupted_at(task, store, 1)
    raw = store.fetch(task.key, results.CHECKPOINT).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert all(
        {"dtype", "shape", "data_offsets"} == set(v)
        for k, v in header.items()
        if k != "__metadata__"
    )
