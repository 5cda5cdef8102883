"""Seeds and settings are set at once, and can be taken back."""

import os
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from lottery_tickets import ensure_deterministic_pruning
from lottery_tickets.judging.determinism import WORKSPACE


def settings() -> tuple[Any, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        os.environ.get(WORKSPACE),
    )


def drawn() -> tuple[float, ...]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    with ensure_deterministic_pruning(0):
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = False
        os.environ.pop(WORKSPACE, None)
        yield


def test_a_seed_means_the_same_numbers_at_once() -> None:
    ensure_deterministic_pruning(seed=42)
    one = drawn()
    ensure_deterministic_pruning(42)
    assert drawn() == one
    ensure_deterministic_pruning(43)
    assert all(a != b for a, b in zip(drawn(), one, strict=True))


def test_it_says_what_it_set() -> None:
    found = ensure_deterministic_pruning(7)
    assert settings() == (True, False, True, False, ":4096:8")
    assert found.settings == {
        "torch.use_deterministic_algorithms": True,
        "warn_only": False,
        "torch.backends.cudnn.deterministic": True,
        "torch.backends.cudnn.benchmark": False,
        WORKSPACE: ":4096:8",
    }
    assert found.seeded == ("python", "numpy", "torch")
    assert (found.seed, found.cautions) == (7, ())


def test_undone_everything_is_as_it_was_and_numbers_go_on() -> None:
    os.environ[WORKSPACE] = "odd"
    torch.use_deterministic_algorithms(True, warn_only=True)
    before = settings()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    first, second = drawn(), drawn()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert drawn() == first

    def interrupted() -> None:
        with ensure_deterministic_pruning(5):
            assert os.environ[WORKSPACE] == ":4096:8"
            assert settings() != before
            drawn()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert settings() == before
    assert drawn() == second


def test_undoing_twice_does_nothing_more() -> None:
    found = ensure_deterministic_pruning(5)
    found.undo()
    torch.use_deterministic_algorithms(True)
    found.undo()
    assert torch.are_deterministic_algorithms_enabled()


def test_a_workspace_that_serves_is_left() -> None:
    os.environ[WORKSPACE] = ":16:8"
    assert ensure_deterministic_pruning(0, warn_only=True).settings[WORKSPACE] == ":16:8"
    assert settings()[:2] == (True, True)


def test_without_numpy_there_is_a_caution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy")
    found = ensure_deterministic_pruning(0)
    assert found.seeded == ("python", "torch")
    assert "numpy is not imported" in found.cautions[0]


@pytest.mark.parametrize("seed", [-1, 1 << 64, 1.5, True, None])
def test_a_seed_that_is_none_is_told(seed: Any) -> None:
    with pytest.raises(ValueError, match="use a whole number from 0"):
        ensure_deterministic_pruning(seed)


def test_large_seeds_are_seeds() -> None:
    ensure_deterministic_pruning((1 << 64) - 1)
