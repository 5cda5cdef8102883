"""The scores by name."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lottery_tickets.running import Batch, LossFn, Telling
from lottery_tickets.scores.checks import scorable
from lottery_tickets.scores.fisher import compute_fisher_importance
from lottery_tickets.scores.gradient import gradient
from lottery_tickets.scores.grasp import grasp
from lottery_tickets.scores.snip import snip
from lottery_tickets.scores.synflow import TARGET, synflow
from lottery_tickets.scores.taylor import taylor
from lottery_tickets.scores.wanda import wanda
from lottery_tickets.scores.weights import magnitude, random

Single = Literal[
    "magnitude", "random", "gradient", "snip", "grasp", "synflow", "taylor", "fisher", "wanda"
]
SINGLE: tuple[str, ...] = get_args(Single)
NEEDS_DATA = frozenset(SINGLE) - {"magnitude", "random"}
"""Methods that read a dataloader. SynFlow takes only the shape of its first sample."""

_WITH_LOSS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "gradient": gradient,
    "snip": snip,
    "grasp": grasp,
    "taylor": taylor,
    "fisher": compute_fisher_importance,
}


def single(
    model: nn.Module,
    method: str,
    dataloader: Iterable[Batch] | None,
    *,
    loss_fn: LossFn | None,
    num_samples: int | None,
    generator: torch.Generator | None,
    target_sparsity: float | None,
    exclude: Sequence[str],
    progress: Telling,
) -> dict[str, Tensor]:
    """The scores of one method that is not a mixture; see `importance`."""
    check_needs(method, dataloader, generator)
    if method == "magnitude":
        return magnitude(scorable(model, exclude))
    if method == "random":
        assert generator is not None  # noqa: S101
        return random(scorable(model, exclude), generator)
    assert dataloader is not None  # noqa: S101
    if method == "synflow":
        target = TARGET if target_sparsity is None else target_sparsity
        return synflow(
            model, dataloader, target_sparsity=target, exclude=exclude, progress=progress
        )
    if method == "wanda":
        return wanda(model, dataloader, num_samples, exclude=exclude, progress=progress)
    return _WITH_LOSS[method](
        model, dataloader, num_samples, loss_fn=loss_fn, exclude=exclude, progress=progress
    )


def check_needs(
    method: str, dataloader: Iterable[Batch] | None, generator: torch.Generator | None
) -> None:
    """ValueError if the method lacks what it needs."""
    if method in NEEDS_DATA and dataloader is None:
        raise ValueError(f"method {method!r} needs data: pass dataloader")
    if method == "random" and generator is None:
        raise ValueError("method 'random' needs a generator: pass a seeded torch.Generator")
