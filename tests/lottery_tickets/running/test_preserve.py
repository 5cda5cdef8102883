"""A network is left as it was found."""

import pytest
import torch
from torch import nn

from lottery_tickets.running.preserve import preserved


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    made[1].eval()  # a mode of its own
    made[0].bias.requires_grad_(False)
    made[2].weight.grad = torch.ones(2, 4)
    return made


def disturb(model: nn.Sequential) -> None:
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    model(torch.randn(8, 3)).sum().backward()
    with torch.no_grad():
        model[0].weight.zero_()
    model.requires_grad_(False)
    raise KeyboardInterrupt


def test_everything_is_as_it_was_after_an_exception() -> None:
    model = network()
    grad, state = model[2].weight.grad, {n: t.clone() for n, t in model.state_dict().items()}
    with pytest.raises(KeyboardInterrupt), preserved(model, training=True, weights=True):
        disturb(model)
    assert model.training
    assert not model[1].training
    assert model[2].weight.grad is grad
    assert model[0].weight.grad is None
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True, True, True]
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_weights_are_copied_only_when_asked() -> None:
    model = network()
    with pytest.raises(KeyboardInterrupt), preserved(model, training=True):
        disturb(model)
    assert not model[0].weight.any()


def test_a_meta_network_has_nothing_to_bring_back() -> None:
    model = nn.BatchNorm1d(4, device="meta")
    with preserved(model, training=False, weights=True):
        assert not model.training
    assert model.training
