"""N:M sparsity: of every M consecutive weights along the reduction axis at most N are not zero.

2:4 is what sparse tensor cores compute (Mishra et al. 2021, 2104.08378, section 3): at most two of four, not exactly
two. The groups follow each other from the axis's beginning; see `axes` for which axis that is.
"""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lottery_tickets import masks
from lottery_tickets.masks import Mask
from lottery_tickets.patterns.axes import Axis

_PIECE = 1 << 19
"""Scores looked at at once."""


def parse(pattern: str) -> tuple[int, int]:
    """(N, M) of "N:M".

    Raises:
        ValueError: It is not of that form with 0 < N < M.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})", pattern)
    if found:
        n, m = int(found[1]), int(found[2])
        if n < m:
            return n, m
    raise ValueError(
        f"pattern is {pattern!r}: use 'unstructured', or 'N:M' with 0 < N < M such as '2:4'"
    )


def check_fits(
    weights: Mapping[str, Tensor], n: int, m: int, axes: Mapping[str, Axis] | None = None
) -> None:
    """ValueError unless the reduction axis of each tensor holds whole groups of `m`; it lists all that do not."""
    faults = []
    for name, weight in weights.items():
        length = (axes or {}).get(name, Axis()).length(tuple(weight.shape))
        if not length or length % m:
            faults.append((name, f"{name} {tuple(weight.shape)} has {length}"))
    if faults:
        names = ", ".join(repr(name) for name, _ in faults)
        raise ValueError(
            f"pattern {n}:{m} needs a multiple of {m} inputs to every layer, and {'; '.join(f for _, f in faults)}: "
            f"leave them out with exclude=[{names}]"
        )


def keep_n_of_m(
    scores: Mapping[str, Tensor],
    n: int,
    m: int,
    *,
    among: Mapping[str, Tensor] | None = None,
    absolute: bool = False,
    axes: Mapping[str, Axis] | None = None,
) -> Mask:
    """The mask of the `n` highest scores in each group of `m`; among equal scores the earlier one is kept.

    Args:
        scores: Parameter name -> finite scores of any floating dtype, (out, in, ...) unless `axes` says otherwise.
        n: Kept of each group, 1 to m - 1. Where fewer survive, all of these are.
        m: Size of a group.
        among: Survivors, a bool tensor for each of `scores`; the others stay pruned. None: all survive.
        absolute: Rank by |score|.
        axes: Name -> reduction axis, as `reduction_axes` gives it; dimension 1 for those not named.

    Returns:
        Name -> bool tensor of the scores' shape, on their device.

    Raises:
        ValueError: A shape does not fit (all are listed), a surviving score is NaN or infinite (tensor and flat index
            are named), or `among` does not fit.
    """
    parse(f"{n}:{m}")
    check_fits(scores, n, m, axes)
    if among is not None:
        masks.check_fit(among, scores)
    kept: Mask = {}
    for name, score in scores.items():
        axis = (axes or {}).get(name, Axis())
        alive = None if among is None else among[name].to(score.device)
        mask = torch.empty(score.shape, dtype=torch.bool, device=score.device)
        parts = (
            _parts(score.detach(), axis, m),
            _parts(mask, axis, m),
            _parts(alive, axis, m) if alive is not None else None,
        )
        for index, (part, into) in enumerate(zip(parts[0], parts[1], strict=True)):
            survivors = None if parts[2] is None else parts[2][index]
            rows = _rows(part, survivors, absolute, m)
            if rows is None:
                _refuse(name, score, alive, absolute)
            else:
                into.copy_(_best(rows, n).view(into.shape))
                if survivors is not None:
                    into.logical_and_(survivors)
        kept[name] = mask
    return kept


def verify_n_of_m(tensor: Tensor, n: int, m: int, *, axis: Axis | int | None = None) -> bool:
    """Whether at most `n` of every `m` consecutive values along the reduction axis are not zero (NaN is not zero).

    Args:
        tensor: A weight, or a mask: (out, in), (out, in, kernel...), or one row.
        n: Most that may be non-zero.
        m: Size of a group.
        axis: The reduction axis; None: dimension 1, or the only one.

    Returns:
        False also if the axis does not hold whole groups of `m`, for then no kernel takes it.
    """
    if axis is None:
        axis = 1 if tensor.dim() > 1 else 0
    where = Axis(axis % max(tensor.dim(), 1)) if isinstance(axis, int) else axis
    length = where.length(tuple(tensor.shape))
    if not tensor.dim() or length % m:
        return False
    return all(
        bool((torch.count_nonzero(part.reshape(-1, m), dim=1) <= n).all())
        for part in _parts(tensor.detach(), where, m)
    )


def _parts(tensor: Tensor, axis: Axis, m: int) -> Sequence[Tensor]:
    """Views of the tensor, its reduction axis last, of about a piece each and in whole groups."""
    last = tensor.movedim(axis.dim, -1)
    if last.dim() == 1:
        last = last.unsqueeze(0)
    if not last.numel():
        return []
    rows = max(1, _PIECE * last.shape[0] // last.numel())
    columns = max(m, _PIECE // m * m)
    return [part for row in torch.split(last, rows) for part in torch.split(row, columns, dim=-1)]


def _rows(part: Tensor, survivors: Tensor | None, absolute: bool, m: int) -> Tensor | None:
    """The scores (groups, m) with pruned ones below all others; None if one that survives is not finite."""
    rows = part.reshape(-1, m)
    if absolute:
        rows = rows.abs()
    if survivors is None:
        return rows if bool(torch.isfinite(rows).all()) else None
    alive = survivors.reshape(-1, m)
    rows = rows.masked_fill(~alive, -torch.inf)
    return rows if int(torch.isfinite(rows).sum()) == int(torch.count_nonzero(alive)) else None


def _best(rows: Tensor, n: int) -> Tensor:
    """bool (groups, m): the n highest of each row, ties to the first. Each score counts how many beat it."""
    columns = [column.contiguous() for column in rows.unbind(1)]
    beaten = [torch.zeros_like(column, dtype=torch.int16) for column in columns]
    for left, first in enumerate(columns):
        for right in range(left + 1, len(columns)):
            wins = first >= columns[right]
            beaten[right] += wins
            beaten[left] += wins.logical_not_()
    return torch.stack([count < n for count in beaten], dim=1)


def _refuse(name: str, score: Tensor, alive: Tensor | None, absolute: bool) -> None:
    odd = ~torch.isfinite(score.detach())
    if alive is not None:
        odd &= alive
    index = int(odd.reshape(-1).nonzero()[0])
    nan = bool(score.detach().reshape(-1)[index].isnan())
    what, remedy = "the score of", "scores must be finite numbers"
    if absolute:
        what, remedy = "the weight", "go back to weights that are finite numbers"
    raise ValueError(
        f"{what} {name!r} at flat index {index} is {'NaN' if nan else 'infinite'}: {remedy}"
    )
