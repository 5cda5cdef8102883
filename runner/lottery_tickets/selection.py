"""Exactly the k weights with the highest score, of a whole network, without sorting or joining its tensors.

A `Ranking` finds the threshold by counting; a last pass compares each score with it. The scores are read piece by
piece through small buffers, so that beside the mask nothing grows with the network.

Order, everywhere: higher score first; among equal scores the one earlier in parameter order, then in flat
(row-major) index order. -0 equals +0, NaN is refused. Infinities are scores like others, so that +inf can mean "keep
it whatever happens"; `finite=True` refuses them, for scores in which they can only be an accident. Tensors of one dtype
are compared in it; where dtypes are mixed, all are compared as fp32, which holds every fp16 and bf16 value exactly.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from lottery_tickets.masks import Mask, check_fit
from lottery_tickets.ranking import Cut, Piece, Ranking


def select(
    scores: Mapping[str, Tensor],
    keep: int,
    *,
    among: Mapping[str, Tensor] | None = None,
    absolute: bool = False,
    finite: bool = False,
) -> Mask:
    """The mask of the `keep` highest scores over all tensors together (order and ties: see the module).

    Args:
        scores: Parameter name -> scores of any shape, in fp32, bf16 or fp16; the order of names decides ties.
        keep: Number of weights kept, 0 to the number of survivors.
        among: Survivors, a bool tensor for each of `scores`; the others stay pruned whatever their score.
            None: all survive.
        absolute: Rank by |score|. With raw weights as scores this is magnitude pruning without a copy of them.
        finite: Refuse infinite scores too.

    Returns:
        Name -> bool tensor of the scores' shape, on their device, with exactly `keep` True in all.

    Raises:
        ValueError: `keep` is out of range, a surviving score is NaN (tensor and flat index are named), a dtype is not
            one of the three, or `among` does not fit `scores` (all names that do not are listed).
    """
    ranking = Ranking(scores, among, absolute, finite)
    cut = ranking.cut(keep)
    mask = {n: torch.empty(s.shape, dtype=torch.bool, device=s.device) for n, s in scores.items()}
    flat = {name: kept.view(-1) for name, kept in mask.items()}

    def keep_from_cut(stream: Iterator[Piece]) -> None:
        for piece in stream:
            kept = flat[piece.name][piece.start : piece.start + len(piece.keys)]
            # Compared as integers first: torch is slow to compare integers into a bool tensor.
            kept.copy_(piece.keys.ge_(cut.key))
            if piece.alive is not None:
                kept &= piece.alive

    ranking.share(keep_from_cut)
    if cut.surplus:
        ranking.share(lambda stream: _drop_ties(stream, cut, flat), workers=1)
    return mask


def select_per_layer(
    scores: Mapping[str, Tensor],
    keep: Mapping[str, int],
    *,
    among: Mapping[str, Tensor] | None = None,
    absolute: bool = False,
    finite: bool = False,
) -> Mask:
    """`select` within each tensor by itself: exactly `keep[name]` weights of tensor `name`.

    Raises:
        ValueError: As `select`, or `keep` names other tensors than `scores`.
    """
    if keep.keys() != scores.keys():
        raise ValueError(
            f"keep and scores differ in the tensors {sorted(keep.keys() ^ scores.keys())}"
        )
    if among is not None:
        check_fit(among, scores)
    mask: Mask = {}
    for name, tensor in scores.items():
        survivors = None if among is None else {name: among[name]}
        mask |= select(
            {name: tensor}, keep[name], among=survivors, absolute=absolute, finite=finite
        )
    return mask


def threshold(
    scores: Mapping[str, Tensor],
    keep: int,
    *,
    among: Mapping[str, Tensor] | None = None,
    absolute: bool = False,
) -> float:
    """The `keep`-th highest score, exactly: the lowest that `select` with the same arguments keeps.

    Raises:
        ValueError: As `select`, or `keep` is 0.
    """
    if keep == 0:
        raise ValueError("keep is 0: there is no lowest kept score")
    ranking = Ranking(scores, among, absolute)
    return ranking.value(ranking.cut(keep).key)


def _drop_ties(stream: Iterator[Piece], cut: Cut, flat: Mask) -> None:
    """Take the last `cut.surplus` of the tied weights out of the mask again."""
    ties, surplus = cut.ties, cut.surplus
    for piece in stream:
        tied = torch.eq(piece.keys, cut.key, out=piece.spare)
        if piece.alive is not None:
            tied.mul_(piece.alive)
        if not tied.max():
            continue
        count = int(torch.count_nonzero(tied))
        if count > ties:
            flat[piece.name][piece.start + tied.nonzero().squeeze(1)[ties:]] = False
            surplus -= count - ties
        ties -= min(ties, count)
        if surplus == 0:
            break
