"""Shared by the tests of channel pruning."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import nn

_Net = TypeVar("_Net", bound=nn.Module)


def _awaken(model: _Net, seed: int = 0) -> _Net:
    """Weights, biases, scales and statistics that all matter: nothing is zero, and no norm is the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            noise = torch.rand(tensor.shape, generator=generator).to(tensor)
            if "running_var" in name or (tensor.dim() == 1 and name.endswith("weight")):
                tensor.copy_(0.5 + noise)
            elif tensor.dim() == 1:
                tensor.copy_(noise - 0.3)
            elif tensor.dim() > 1:
                fan = tensor[0].numel()
                tensor.copy_((noise - 0.5) * (12 / fan) ** 0.5)
    return model


@pytest.fixture(scope="session")
def awake() -> Callable[[nn.Module], nn.Module]:
    return _awaken
