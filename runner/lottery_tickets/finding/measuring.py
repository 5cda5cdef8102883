"""What is noted of a network between two trainings."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from lottery_tickets.judging.performance import Performance, measure
from lottery_tickets.running import Batch, LossFn

EvalFn = Callable[[nn.Module], float]
"""eval_fn(model) -> quality, e.g. accuracy in [0, 1]. The network comes in evaluation mode."""


def quality(model: nn.Module, eval_fn: EvalFn, called: str = "eval_fn") -> float:
    """What `eval_fn` says of the network in evaluation mode; its modes are put back.

    Raises:
        ValueError: It says nothing, or no number.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        answer = eval_fn(model)
    finally:
        for module, mode in modes:
            module.training = mode
    return _number(answer, called)


def performance(
    model: nn.Module, dataloader: Iterable[Batch], loss_fn: LossFn | None
) -> Performance:
    """Loss and accuracy over the samples of the loader, in evaluation mode.

    Raises:
        ValueError: As `measure`, or the loss is no number.
    """
    found: list[Performance] = []

    def look(network: nn.Module) -> float:
        found.append(measure(network, dataloader, loss_fn=loss_fn, progress=False))
        return found[0].loss

    quality(model, look, "the loss on dataloader")
    return found[0]


def refuse_broken(model: nn.Module, when: str) -> None:
    """ValueError that names the first weight that is NaN or infinite."""
    for name, weight in model.named_parameters():
        good = torch.isfinite(weight.detach())
        if not good.all():
            index = int((~good).reshape(-1).nonzero()[0])
            value = float(weight.detach().reshape(-1)[index])
            raise ValueError(
                f"{name!r} has {value} at flat index {index} {when}: lower the learning rate, or look for NaN in the "
                f"data"
            )


def _number(answer: object, called: str) -> float:
    try:
        found = float(answer)  # type: ignore[arg-type]  # whatever the caller's function returned
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{called} returned {type(answer).__name__}: return one number, e.g. the accuracy"
        ) from None
    if not math.isfinite(found):
        raise ValueError(
            f"{called} is {found}: look for NaN or infinite values in weights and data"
        )
    return found
