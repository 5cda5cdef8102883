"""A small network, its data and a mask, and what must be left as it was."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets.running import Batch


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model() -> nn.Sequential:
    """Convolution, norm, dropout; a frozen weight, a gradient, a mode of its own, and values that are hard to keep."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 12),
        nn.Dropout(0.5),
        nn.Linear(12, 3),
    )
    made[1].train(False)
    made[6].bias.requires_grad_(False)
    made[4].weight.grad = torch.ones(12, 64)
    with torch.no_grad():
        made[4].weight[0, :3] = torch.tensor([-0.0, 0.0, 1e-42])
    return made


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    """20 images of three classes."""
    inputs = torch.randn(20, 1, 6, 6, generator=seeded(1))
    return inputs, torch.randint(3, (20,), generator=seeded(2))


@pytest.fixture
def loader(images: tuple[Tensor, Tensor]) -> list[Batch]:
    """The same in batches of 8, 8 and 4."""
    inputs, targets = images
    return [(inputs[at : at + 8], targets[at : at + 8]) for at in range(0, 20, 8)]


@pytest.fixture
def mask(model: nn.Sequential) -> dict[str, Tensor]:
    """Keeps about 3 of 10 weights."""
    generator = seeded(3)
    return {
        name: torch.rand(weight.shape, generator=generator) < 0.3
        for name, weight in model.named_parameters()
        if weight.dim() > 1
    }


@pytest.fixture
def frozen(model: nn.Sequential) -> Callable[[], bool]:
    """Asks whether everything of the network is what it was when the test began."""
    before = _state(model)
    grads = {name: weight.grad for name, weight in model.named_parameters()}

    def same() -> bool:
        now = _state(model)
        return (
            all(torch.equal(now[0][name], bits) for name, bits in before[0].items())
            and now[1:] == before[1:]
            and all(weight.grad is grads[name] for name, weight in model.named_parameters())
        )

    return same


@pytest.fixture
def failing() -> Callable[[int], Callable[[Tensor, Tensor], Tensor]]:
    """A loss that works a few times and then raises RuntimeError."""

    def after(times: int) -> Callable[[Tensor, Tensor], Tensor]:
        left = [times]

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError("out of luck")
            return functional.cross_entropy(outputs, targets)

        return loss

    return after


def _state(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, object], dict[str, bool]]:
    bits = {
        # As integers: NaN equals NaN, and -0 does not equal +0.
        name: (tensor.detach().view(torch.int32) if tensor.is_floating_point() else tensor).clone()
        for name, tensor in model.state_dict().items()
    }
    about = {name: (id(p), p.requires_grad, p.data_ptr()) for name, p in model.named_parameters()}
    return bits, dict(about), {name: one.training for name, one in model.named_modules()}
