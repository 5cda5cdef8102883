"""One call from weights to the next mask: score, select, and never bring a pruned weight back."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lottery_tickets import masks, scores
from lottery_tickets.levels import Scope, keep_counts
from lottery_tickets.masks import Mask
from lottery_tickets.modules import match, prunable
from lottery_tickets.selection import select

Score = Literal["magnitude", "random"]


def prune(
    model_or_parameters: nn.Module | Mapping[str, Tensor],
    *,
    target_sparsity: float,
    mask: Mask | None = None,
    score: Score | Mapping[str, Tensor] = "magnitude",
    scope: Scope = "global",
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    generator: torch.Generator | None = None,
) -> Mask:
    """The mask of the next level (Frankle & Carbin 2019, section 1); the weights themselves stay as they are.

    Args:
        model_or_parameters: A network, of which the `prunable` weights are taken, or the weights by name.
        target_sparsity: Fraction of these weights that the new mask prunes, in [0, 1).
        mask: The level before; None: nothing is pruned yet. It may also name excluded weights it keeps whole.
        score: "magnitude", "random" (needs `generator`), or scores of your own for each of these weights.
        scope: "global": all weights compete; "layer": every tensor loses the same fraction. See `keep_counts`.
        exclude: Patterns of weights that are never pruned and do not count, see `prunable`.
        rate_factors: Pattern -> how fast that tensor loses weights next to the others, see `keep_counts`.
        generator: Source of the random scores.

    Returns:
        The new mask: a subset of `mask`, exact in its counts.

    Raises:
        ValueError: One sentence that names the argument; see `prunable`, `keep_counts`, `select`.
    """
    weights = _weights(model_or_parameters, exclude)
    if not weights:
        raise ValueError(
            "no weight can be pruned: the network has none that is prunable and not excluded"
        )
    among = None if mask is None else _survivors(mask, weights)
    left = {n: (w.numel(), w.numel()) for n, w in weights.items()}
    budgets = keep_counts(
        left if among is None else masks.counts(among),
        target_sparsity,
        scope=scope,
        rate_factors=rate_factors,
    )
    ranked, absolute = _scores(score, weights, generator)
    chosen: Mask = {}
    for budget in budgets:
        chosen |= select(
            {name: ranked[name] for name in budget.names},
            budget.keep,
            among=None if among is None else {name: among[name] for name in budget.names},
            absolute=absolute,
        )
    return {name: chosen[name] for name in weights}


def random_like(mask: Mask, generator: torch.Generator) -> Mask:
    """A random mask that keeps as many weights of each tensor as `mask` does, drawn from all of its weights.

    The control that tells which weights are kept from how many a layer keeps: the same as shuffling the mask
    within each layer (the ablation of Frankle et al. 2021, 2009.08576).
    """
    drawn: Mask = {}
    for name, (keep, _) in masks.counts(mask).items():
        # Tensor by tensor, so that the scores of one only are in memory.
        drawn |= select(scores.random({name: mask[name]}, generator), keep)
    return drawn


def _weights(
    model_or_parameters: nn.Module | Mapping[str, Tensor], exclude: Sequence[str]
) -> Mapping[str, Tensor]:
    if isinstance(model_or_parameters, nn.Module):
        return prunable(model_or_parameters, exclude)
    excluded = {name for hits in match(model_or_parameters, exclude).values() for name in hits}
    return {name: w for name, w in model_or_parameters.items() if name not in excluded}


def _survivors(mask: Mask, weights: Mapping[str, Tensor]) -> Mask:
    """The mask of `weights` alone, in their order."""
    others = {name: kept for name, kept in mask.items() if name not in weights}
    lost = [name for name, (left, total) in masks.counts(others).items() if left < total]
    if lost:
        raise ValueError(
            f"the mask prunes {', '.join(lost)}, which may not be pruned here: exclude less"
        )
    masks.check_fit({name: kept for name, kept in mask.items() if name in weights}, weights)
    return {name: mask[name] for name in weights}


def _scores(
    score: Score | Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    generator: torch.Generator | None,
) -> tuple[Mapping[str, Tensor], bool]:
    """The scores, and whether their absolute value is meant."""
    if isinstance(score, Mapping):
        wrong = [n for n, w in weights.items() if n not in score or score[n].shape != w.shape]
        if wrong:
            raise ValueError(f"score lacks {', '.join(wrong)}, or has them in another shape")
        return score, False
    if score == "magnitude":
        return weights, True
    if score == "random":
        if generator is None:
            raise ValueError("score 'random' needs a generator: pass a seeded torch.Generator")
        return scores.random(weights, generator), False
    raise ValueError(f"score is {score!r}: use 'magnitude', 'random' or scores by parameter name")
