"""Small rounds on the digits, and a store to keep them in."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketsmith.engine.carry_out import carry_out
from ticketsmith.experiment.contract import Parents, RoundResult, TrainRound
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store

MakeRound = Callable[..., TrainRound]
Work = Callable[[TrainRound], RoundResult]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests share the machine, and bits depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def make_round() -> MakeRound:
    """A round of LeNet-300-100 on the digits; keyword arguments replace parts of its document."""

    def make(
        arm: str = "dense", level: int = 0, sparsity: float = 0.0, **changes: Any
    ) -> TrainRound:
        training = {
            "duration": "3ep",
            "batchSize": 100,
            "optimizer": {"name": "adam", "lr": 0.0012},
        } | changes.pop("training", {})
        document = {
            "name": f"{arm}-s0-l{level:02}",
            "experiment": "test",
            "runnerVersion": "0.1.0",
            "arm": arm,
            "seed": 0,
            "level": level,
            "sparsity": sparsity,
            "model": {"name": "lenet300"},
            "dataset": {"name": "digits"},
            "training": training,
            "rewind": "0it",
            "pruning": None if arm == "dense" else {},
        } | changes
        return TrainRound.model_validate(document)

    return make


@pytest.fixture
def work(store: Store) -> Work:
    """Carries a round out on the CPU, in this process."""
    return lambda task: carry_out(task, store, progress=lambda _: None, device=torch.device("cpu"))


@pytest.fixture
def ladder(make_round: MakeRound, work: Work) -> Callable[..., list[TrainRound]]:
    """Carries out the dense round and tickets at the given sparsities; returns the rounds, dense first."""

    def climb(*sparsities: float, one_shot: bool = False, **changes: Any) -> list[TrainRound]:
        pruning = changes.pop("pruning", {})
        rounds = [make_round(**changes)]
        work(rounds[0])
        for level, sparsity in enumerate(sparsities, 1):
            scored = rounds[0] if one_shot else rounds[-1]
            parents = Parents(dense=rounds[0].key, scored=scored.key)
            task = make_round(
                "ticket", level, sparsity, pruning=pruning, parents=parents, **changes
            )
            work(task)
            rounds.append(task)
        return rounds

    return climb


@pytest.fixture
def process_environment() -> dict[str, str]:
    """Environment of a round's own process: one thread, the CPU, no answer file of the machine's."""
    return os.environ | {"TICKETSMITH_THREADS": "1", "TICKETSMITH_DEVICE": "cpu"}
