"""The weights of the highest scores, within each output by itself."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lottery_tickets.masks import Mask, check_fit
from lottery_tickets.modules import prunable
from lottery_tickets.patterns import Axis, as_found, outputs_first, reduction_axes
from lottery_tickets.scores.checks import refuse_not_finite

_ROWS = 1 << 22
"""Scores that are sorted at once, at least those of one output."""


def select_per_output(
    scores: Mapping[str, Tensor],
    sparsity: float,
    *,
    among: Mapping[str, Tensor] | None = None,
    model: nn.Module | None = None,
) -> Mask:
    """The mask that removes from each output the same number of its lowest scores (2306.11695, section 3).

    An output is one row of `score.flatten(1)`; each loses round(sparsity · features) weights in all. Order: as
    `select`, the earlier of equal scores is kept.

    Args:
        scores: Name -> scores of two dimensions or more, the outputs first.
        sparsity: Fraction of each output's weights that the mask prunes, in [0, 1).
        among: Survivors; what it prunes stays pruned and counts. None: all survive.
        model: The network, which knows the weights whose outputs do not come first: those of transposed convolutions
            and of GPT-2's `Conv1D`. None: all come first.

    Raises:
        ValueError: The sparsity is out of range; scores have fewer than two dimensions, or NaN; an output has
            already lost more.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}: use a fraction in [0, 1)")
    if among is not None:
        check_fit(dict(among), scores)
    axes = {} if model is None else reduction_axes(model, prunable(model))
    mask = {}
    for name, score in scores.items():
        if score.dim() < 2:
            raise ValueError(
                f"scores of {name!r} are {tuple(score.shape)}: give (outputs, inputs, ...)"
            )
        if torch.isnan(score).any():
            refuse_not_finite(torch.where(score.isnan(), score, 0), f"the score of {name!r}")
        axis = axes.get(name, Axis())
        alive = None if among is None else outputs_first(among[name].to(score.device), axis)
        kept = _per_output(name, outputs_first(score.detach(), axis), sparsity, alive)
        mask[name] = as_found(kept, axis, score.shape)
    return mask


def _per_output(name: str, flat: Tensor, sparsity: float, left: Tensor | None) -> Tensor:
    """Of (outputs, features)."""
    keep = flat.shape[1] - round(sparsity * flat.shape[1])
    mask = torch.zeros(flat.shape, dtype=torch.bool, device=flat.device)
    if left is not None and len(left) and int(left.sum(1).min()) < keep:
        row = int(left.sum(1).argmin())
        raise ValueError(
            f"output {row} of {name!r} has {int(left[row].sum())} survivors, fewer than the {keep} that sparsity "
            f"{sparsity} keeps: ask for more sparsity"
        )
    several = max(1, _ROWS // max(1, flat.shape[1]))
    for first in range(0, len(flat), several):
        part = flat[first : first + several]
        if left is not None:
            # Survivors first, whatever their score: -inf may be one of them.
            order = part.argsort(dim=1, descending=True, stable=True)
            dead = ~left[first : first + several].gather(1, order)
            order = order.gather(1, dead.byte().argsort(dim=1, stable=True))
        else:
            order = part.argsort(dim=1, descending=True, stable=True)
        mask[first : first + several].scatter_(1, order[:, :keep], True)
    return mask
