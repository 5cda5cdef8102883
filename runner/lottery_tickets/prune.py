"""One call from weights to the next mask: score, select, and never bring a pruned weight back."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lottery_tickets import masks, scores
from lottery_tickets.lamp import lamp_counts
from lottery_tickets.levels import Budget, Scope, keep_counts
from lottery_tickets.masks import Mask
from lottery_tickets.modules import match, prunable
from lottery_tickets.patterns.axes import reduction_axes
from lottery_tickets.patterns.n_m import keep_n_of_m, parse
from lottery_tickets.selection import select

Score = Literal["magnitude", "random"]
"""Scores that `prune` makes itself: absolute value, or random numbers."""


def prune(
    model_or_parameters: nn.Module | Mapping[str, Tensor],
    *,
    target_sparsity: float | None = None,
    mask: Mapping[str, Tensor] | None = None,
    score: Score | Mapping[str, Tensor] = "magnitude",
    scope: Scope = "global",
    pattern: str = "unstructured",
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    sparsities: Mapping[str, float] | None = None,
    generator: torch.Generator | None = None,
) -> Mask:
    """The mask of the next level (Frankle & Carbin 2019, section 1); the weights themselves stay as they are.

    Args:
        model_or_parameters: A network, of which the `prunable` weights are taken, or the weights by name.
        target_sparsity: Fraction of these weights that the new mask prunes, in [0, 1). None: what `sparsities` or
            the pattern ask for.
        mask: The level before; None: nothing is pruned yet. It may also name excluded weights it keeps whole.
        score: "magnitude", "random" (needs `generator`), or scores of your own for each of these weights.
        scope: "global": all weights compete; "layer": every tensor loses the same fraction; "uniform", "erk" and
            "lamp": budgets per tensor from the literature. See `keep_counts`. With "lamp" the weights' magnitudes
            make the budgets, whatever the score, which says who fills them.
        pattern: "unstructured", or "N:M" (e.g. "2:4"): of every M consecutive weights along the reduction axis at
            most N are kept, the best by score; see `patterns`. A target beyond 1 - N / M then prunes further.
        exclude: Patterns of weights that are never pruned and do not count, see `prunable`.
        rate_factors: Pattern -> how fast that tensor loses weights next to the others, see `keep_counts`.
        sparsities: Pattern -> the sparsity at which that tensor ends, see `keep_counts`.
        generator: Source of the random scores.

    Returns:
        The new mask: a subset of `mask`, exact in its counts.

    Raises:
        ValueError: One sentence that names the argument; see `prunable`, `keep_counts`, `select`, `keep_n_of_m`.
            Surviving weights or scores that are NaN or infinite are named with their index. (Infinite scores that are
            meant so go to `select`.)
    """
    weights = _weights(model_or_parameters, exclude)
    if not weights:
        raise ValueError(
            "no weight can be pruned: the network has none that is prunable and not excluded"
        )
    among = None if mask is None else _survivors(mask, weights)
    ranked, absolute = _scores(score, weights, generator)
    if pattern != "unstructured":
        n, m = parse(pattern)
        axes = reduction_axes(model_or_parameters, weights)
        among = keep_n_of_m(ranked, n, m, among=among, absolute=absolute, axes=axes)
        if target_sparsity is None and not sparsities:
            return among
        _check_beyond(target_sparsity, pattern, among)
    left = {n: (w.numel(), w.numel()) for n, w in weights.items()}
    budgets = keep_counts(
        left if among is None else masks.counts(among),
        target_sparsity,
        scope=scope,
        rate_factors=rate_factors,
        sparsities=sparsities,
        shapes={name: tuple(weight.shape) for name, weight in weights.items()},
    )
    chosen: Mask = {}
    for budget in _by_lamp(budgets, weights, among) if scope == "lamp" else budgets:
        chosen |= select(
            {name: ranked[name] for name in budget.names},
            budget.keep,
            among=None if among is None else {name: among[name] for name in budget.names},
            absolute=absolute,
            finite=True,
        )
    return {name: chosen[name] for name in weights}


def _check_beyond(target_sparsity: float | None, pattern: str, among: Mask) -> None:
    kept, total = (sum(column) for column in zip(*masks.counts(among).values(), strict=True))
    if target_sparsity is not None and 0 <= target_sparsity * total < total - kept - 0.5:
        raise ValueError(
            f"target_sparsity {target_sparsity} is below the {1 - kept / total:.6g} that pattern {pattern} prunes: "
            f"ask for that or more, or leave the target out"
        )


def random_like(mask: Mapping[str, Tensor], generator: torch.Generator) -> Mask:
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


def _survivors(mask: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Mask:
    """The mask of `weights` alone, in their order."""
    others = {name: kept for name, kept in mask.items() if name not in weights}
    lost = [name for name, (left, total) in masks.counts(others).items() if left < total]
    if lost:
        raise ValueError(
            f"the mask prunes {', '.join(lost)}, which may not be pruned here: exclude less"
        )
    masks.check_fit({name: kept for name, kept in mask.items() if name in weights}, weights)
    return {name: mask[name] for name in weights}


def _by_lamp(
    budgets: Sequence[Budget], weights: Mapping[str, Tensor], among: Mask | None
) -> list[Budget]:
    """A budget for each tensor, those that share one split by their LAMP scores."""
    split: list[Budget] = []
    for budget in budgets:
        own = {name: weights[name] for name in budget.names}
        survivors = None if among is None else {name: among[name] for name in own}
        kept = lamp_counts(own, budget.keep, among=survivors)
        split += [Budget((name,), keep) for name, keep in kept.items()]
    return split


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
        return {name: score[name] for name in weights}, False
    if score == "magnitude":
        return weights, True
    if score == "random":
        if generator is None:
            raise ValueError("score 'random' needs a generator: pass a seeded torch.Generator")
        return scores.random(weights, generator), False
    raise ValueError(f"score is {score!r}: use 'magnitude', 'random' or scores by parameter name")
