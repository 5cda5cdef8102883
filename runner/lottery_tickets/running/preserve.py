"""Leave a network as it was found, whatever happened in between."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def preserved(model: nn.Module, *, training: bool, weights: bool = False) -> Iterator[None]:
    """Inside, the network is in the given mode and has no gradients; afterwards everything is as it was.

    That is the mode of every module, gradients (the same tensors), requires_grad and buffers, after an exception too.
    Hooks are the business of whoever sets them.

    Args:
        training: True for `model.train()`, False for `model.eval()`.
        weights: Also bring the weights back, which copies them: once their bytes. Without it whoever is inside must
            not change them.
    """
    modules = list(model.modules())
    parameters = list(model.parameters())
    modes = [module.training for module in modules]
    before = [(one, one.grad, one.requires_grad) for one in parameters]
    buffers = [(one, one.detach().clone()) for one in model.buffers()]
    copies = [(one, one.detach().clone()) for one in parameters] if weights else []
    try:
        model.train(training)
        for one in parameters:
            one.grad = None
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for one, grad, wanted in before:
            one.requires_grad_(wanted)
            one.grad = grad
        _put_back([*buffers, *copies])


def require_only(model: nn.Module, weights: Iterable[nn.Parameter]) -> None:
    """Only these weights require gradients from now on, frozen before or not. Use it inside of `preserved`, which
    brings requires_grad back."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)


def _put_back(copies: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for tensor, copy in copies:
            if not tensor.is_meta:
                tensor.copy_(copy)
