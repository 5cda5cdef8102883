"""Shared by the tests of finding tickets: scikit-learn's digits, and a network that learns them in a second."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Batches = list[tuple[Tensor, Tensor]]
BATCH = 64
TRAINED_ON = 1408


@pytest.fixture(scope="session")
def digits() -> tuple[Batches, Batches]:
    """Batches to train on, and those held out."""
    table = load_digits()
    pixels = torch.tensor(table.data, dtype=torch.float32) / 16
    labels = torch.tensor(table.target)
    batches = list(zip(pixels.split(BATCH), labels.split(BATCH), strict=True))
    return batches[: TRAINED_ON // BATCH], batches[TRAINED_ON // BATCH :]


def network(hidden: int = 32) -> nn.Module:
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return network()


def train(
    model: nn.Module,
    mask: Any,
    batches: Batches,
    *,
    epochs: int = 2,
    order: int = 0,
    lr: float = 2e-3,
) -> None:
    """Adam, with the mask after every step."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    shuffled = torch.Generator().manual_seed(order)
    for _ in range(epochs):
        for i in torch.randperm(len(batches), generator=shuffled).tolist():
            x, y = batches[i]
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
            mask.apply(model)


@pytest.fixture
def training() -> Callable[..., None]:
    """train(model, mask, batches, epochs=, order=, lr=)."""
    return train


@torch.no_grad()
def accuracy(model: nn.Module, batches: Batches) -> float:
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)
    return right / sum(len(y) for _, y in batches)


@pytest.fixture
def train_fn(digits: tuple[Batches, Batches]) -> Callable[[nn.Module, Any], None]:
    return lambda model, mask: train(model, mask, digits[0])


@pytest.fixture
def eval_fn(digits: tuple[Batches, Batches]) -> Callable[[nn.Module], float]:
    return lambda model: accuracy(model, digits[1])


@pytest.fixture
def as_found(model: nn.Module) -> Iterator[nn.Module]:
    """The network with modes, gradients and freezing of its own, looked at again when the test is over."""
    model[0].eval()  # type: ignore[operator, index]
    model[2].bias.requires_grad_(False)  # type: ignore[index]
    gradient = torch.ones_like(model[2].weight)  # type: ignore[index]
    model[2].weight.grad = gradient  # type: ignore[index]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    yield model
    assert [module.training for module in model.modules()] == [True, False, True, True]
    assert [p.requires_grad for p in model.parameters()] == [True, True, True, False]
    assert model[2].weight.grad is gradient  # type: ignore[index]
    assert model[0].weight.grad is None  # type: ignore[index]
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
