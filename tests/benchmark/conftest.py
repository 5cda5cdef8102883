"""Saved artifacts as training rounds leave them, without the training."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ticketsmith.engine import models
from ticketsmith.experiment.contract import Parents, RoundResult, TrainRound
from ticketsmith.experiment.duration import Duration
from ticketsmith.experiment.results import LAYERS, RESULT, SPEC, WEIGHTS, LayerCount, Layers
from ticketsmith.experiment.spec import DatasetSpec, ModelSpec, PruningSpec, TrainingSpec
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store

LENET = ModelSpec(name="lenet300")
DIGITS = DatasetSpec(name="digits")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def save(
    store: Store,
    sparsity: float = 0.0,
    *,
    dense: str | None = None,
    model: ModelSpec = LENET,
    seed: int = 0,
) -> str:
    """Leave a finished dense round (no `dense`) or ticket round in the store; returns its key."""
    torch.manual_seed(seed)
    network = models.build(model, (1, 8, 8), 10)
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    counts: list[LayerCount] = []
    for name, value in state.items():
        if value.ndim < 2:
            continue
        keep = torch.rand(value.shape) >= sparsity
        state[name] = torch.where(keep, value, 0.0)
        counts.append(
            LayerCount(
                name=name,
                shape=tuple(value.shape),
                prunable=value.numel(),
                remaining=int(keep.sum()),
            )
        )
    task = TrainRound(
        name="dense-s0" if dense is None else f"ticket-s0-{100 * sparsity:.0f}",
        experiment="bench",
        runner_version="0.1.0",
        arm="dense" if dense is None else "ticket",
        seed=seed,
        level=0 if dense is None else 1,
        sparsity=sparsity,
        model=model,
        dataset=DIGITS,
        training=TrainingSpec(),
        rewind=Duration(),
        pruning=None if dense is None else PruningSpec(),
        parents=Parents(dense=dense, scored=dense),
    )
    file = store.scratch(task.key) / WEIGHTS
    save_file(state, file)
    result = RoundResult(
        key=task.key,
        arm=task.arm,
        seed=seed,
        level=task.level,
        remaining=sum(layer.remaining for layer in counts),
        prunable=sum(layer.prunable for layer in counts),
        files={WEIGHTS: store.put(task.key, WEIGHTS, file)},
    )
    store.create_text(task.key, SPEC, task.model_dump_json())
    store.create_text(task.key, LAYERS, Layers(layers=tuple(counts)).model_dump_json())
    store.create_text(task.key, RESULT, result.model_dump_json(exclude_none=True))
    return task.key


Save = Callable[..., str]


@pytest.fixture(name="save")
def save_fixture(store: Store) -> Save:
    """`save` into the test's store."""
    return partial(save, store)


@pytest.fixture
def ladder(store: Store) -> tuple[str, Sequence[str]]:
    """Keys of a dense round and of two tickets pruned from it."""
    dense = save(store)
    return dense, [save(store, 0.5, dense=dense), save(store, 0.9, dense=dense)]
