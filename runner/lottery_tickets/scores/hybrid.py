"""Several scores in one: their ranks, mixed."""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lottery_tickets.running import Batch, LossFn, Telling
from lottery_tickets.scores.methods import SINGLE, check_needs, single
from lottery_tickets.scores.ranks import ranks

WEIGHTS: Mapping[str, float] = {"magnitude": 0.3, "fisher": 0.5, "taylor": 0.2}
"""What is mixed if nobody says otherwise. A habit, not a finding: compare on your own network."""


def compute_hybrid_importance(
    model: nn.Module,
    dataloader: Iterable[Batch] | None = None,
    weights: Mapping[str, float] | None = None,
    *,
    loss_fn: LossFn | None = None,
    num_samples: int | None = None,
    generator: torch.Generator | None = None,
    target_sparsity: float | None = None,
    exclude: Sequence[str] = (),
    progress: Telling = None,
) -> dict[str, Tensor]:
    """The weighted mean of several methods' ranks.

    Scores have units (a weight, a squared loss per squared weight), so each method's are replaced by their ranks over
    all weights, from 0 to 1, equal scores sharing their mean rank (see `ranks`), before they are mixed. With one
    method alone the order of weights is that of the method.

    Args:
        model: Any network.
        dataloader: Batches, see `Batch`; read once for each method that needs data, so it must be one that can be
            iterated again. None if no method needs any.
        weights: Method -> its share, 0 or more, in any unit: they are divided by their sum. Methods: those of
            `importance` but "hybrid". None: magnitude 0.3, fisher 0.5, taylor 0.2. Methods of share 0 do not run.
        loss_fn, num_samples, generator, target_sparsity, exclude, progress: See `importance`.

    Returns:
        Name -> fp32 scores from 0 to 1 of the weight's shape, on its device.

    Raises:
        ValueError: A method is unknown (the known ones are listed), a share is negative or no number, or all are 0;
            and see `importance`.
    """
    parts = shares(WEIGHTS if weights is None else weights)
    for method in parts:
        check_needs(method, dataloader, generator)
    mixed: dict[str, Tensor] = {}
    for method, share in parts.items():
        found = single(
            model,
            method,
            dataloader,
            loss_fn=loss_fn,
            num_samples=num_samples,
            generator=generator,
            target_sparsity=target_sparsity,
            exclude=exclude,
            progress=progress,
        )
        for name, rank in ranks(found).items():
            part = rank.mul_(share)
            mixed[name] = mixed[name].add_(part) if name in mixed else part
    return mixed


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    """The methods that count, with shares that sum to 1."""
    unknown = [method for method in weights if method not in SINGLE]
    if unknown:
        raise ValueError(
            f"weights name the unknown methods {', '.join(map(repr, unknown))}: use {', '.join(SINGLE)}"
        )
    for method, share in weights.items():
        if not 0 <= share < math.inf:
            raise ValueError(f"the weight of {method!r} is {share}: use a number from 0 up")
    total = sum(weights.values())
    if not total > 0:
        raise ValueError("weights sum to 0: give at least one method a weight above 0")
    return {method: share / total for method, share in weights.items() if share}
