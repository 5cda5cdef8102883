"""Ranks of values, equal ones sharing theirs, and how far two rankings agree."""

import math

import torch
from torch import Tensor

PIECE = 1 << 16
"""Values ranked at once, once they are sorted; what that takes, some 50 bytes each, is then no matter."""


def mean_ranks(values: Tensor, out: Tensor | None = None, scale: float = 1.0) -> Tensor:
    """The rank of each value from 0 up, equal values sharing the mean of theirs.

    Takes what sorting takes, 20 bytes for each fp32 value, however many are equal.

    Args:
        values: 1-d, in any dtype that torch sorts.
        out: Where ranks go: as many floating-point numbers on the same device; may be `values`. None: a new fp64
            tensor.
        scale: Ranks are multiplied by this, in fp64, before they are rounded to the dtype of `out`.

    Returns:
        `out`.

    Raises:
        ValueError: A value is NaN.
    """
    ordered, order = values.sort()
    if len(ordered) and ordered[-1].isnan():  # NaN is sorted last
        raise ValueError("a value is NaN: only numbers have ranks")
    if out is None:
        out = torch.empty(len(values), dtype=torch.float64, device=values.device)
    for start in range(0, len(ordered), PIECE):
        piece = ordered[start : start + PIECE]
        own, group, counts = torch.unique_consecutive(
            piece, return_inverse=True, return_counts=True
        )
        past = start + counts.cumsum(0)
        first = past - counts
        # Equals of the first and of the last may lie in other pieces.
        first[0] = torch.searchsorted(ordered, own[0])
        past[-1] = torch.searchsorted(ordered, own[-1], right=True)
        means = ((first + past - 1).double() / 2 * scale).to(out.dtype)
        out[order[start : start + PIECE]] = means[group]
    return out


def correlation(one: Tensor, other: Tensor, *, constant: float = math.nan) -> float:
    """Pearson's, in fp64, of two tensors of one shape (1-d); of ranks it is Spearman's.

    `constant`: what is returned where all values of one of the two are equal, so that there is none.
    """
    a, b = (ranked - ranked.mean() for ranked in (one.double(), other.double()))
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread else constant
