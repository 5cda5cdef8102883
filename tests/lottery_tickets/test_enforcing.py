"""Pruned weights stay zero through training."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import nn

from lottery_tickets import PruningMask, apply, create_magnitude_mask, enforce

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9),
}


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    inputs = torch.randn(8, 6)
    for _ in range(count):
        optimizer.zero_grad()
        (model(inputs) - 1).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_no_pruned_weight_ever_moves_and_the_others_do(name: str) -> None:
    model = net()
    optimizer = OPTIMIZERS[name](model.parameters())
    steps(model, optimizer, 3)  # momentum is there before the mask
    mask = create_magnitude_mask(model, 0.7)
    apply(model, mask)
    before = {name: model.get_parameter(name).detach().clone() for name in mask}
    handle = enforce(optimizer, model, mask)
    for _ in range(5):
        steps(model, optimizer, 1)
        for weight, kept in mask.items():
            assert not model.get_parameter(weight)[~kept].any()
    handle.remove()
    for weight, kept in mask.items():
        now = model.get_parameter(weight).detach()
        assert not torch.equal(now[kept], before[weight][kept])
    if name != "sgd":
        optimizer.zero_grad()
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        moved = [bool(model.get_parameter(w)[~kept].any()) for w, kept in mask.items()]
        assert any(moved), "without the mask even a step of no gradient revives some"


def test_it_begins_at_once_and_ends_with_the_block() -> None:
    model = net()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    mask = PruningMask(create_magnitude_mask(model, 0.5))
    with mask.enforced(optimizer, model):
        assert not model[0].weight[~mask["0.weight"]].any()
        steps(model, optimizer, 2)
        assert not model[0].weight[~mask["0.weight"]].any()
    steps(model, optimizer, 1)
    assert model[0].weight[~mask["0.weight"]].any()
    assert not optimizer._optimizer_step_post_hooks


def test_it_ends_after_an_exception_too() -> None:
    model = net()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    with pytest.raises(ZeroDivisionError), PruningMask(model).enforced(optimizer, model):
        _ = 1 / 0
    assert not optimizer._optimizer_step_post_hooks


def test_tied_weights_by_either_name() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    optimizer = torch.optim.Adam(model.parameters())
    mask = {"2.weight": torch.eye(4) > 0}
    with enforce(optimizer, model, mask):
        model(torch.randn(3, 4)).sum().backward()
        optimizer.step()
        assert not model[0].weight[~mask["2.weight"]].any()


def test_bad_input_is_named_and_nothing_hooked() -> None:
    model, other = net(), net()
    optimizer = OPTIMIZERS["sgd"](other.parameters())
    with pytest.raises(ValueError, match="steps none of the masked weights"):
        enforce(optimizer, model, PruningMask(model))
    with pytest.raises(ValueError, match="'x' is not among the tensors"):
        enforce(optimizer, other, {"x": torch.ones(1) > 0})
    assert not optimizer._optimizer_step_post_hooks
