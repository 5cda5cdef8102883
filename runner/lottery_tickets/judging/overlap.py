"""How much two tickets have in common, beside what they would have in common by chance."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from lottery_tickets import masks
from lottery_tickets.judging.chance import shared, together
from lottery_tickets.judging.temporarily import blocks

Overlap = Literal["jaccard", "dice", "overlap"]


def compute_ticket_overlap(
    mask1: Mapping[str, Tensor], mask2: Mapping[str, Tensor], method: Overlap = "jaccard"
) -> dict[str, Any]:
    """The overlap of the kept weights of two masks, per layer and in all, and the level expected by chance.

    With k1 and k2 weights kept and X of them shared: jaccard is X / (k1 + k2 - X), dice 2 X / (k1 + k2), overlap
    X / min(k1, k2), each from 0 to 1. Two masks that keep nothing are equal: 1; if one alone keeps nothing: 0. The
    overall figure is that of the sums over all layers, so it weighs weights, not layers.

    By chance means: two masks that keep as many weights of each layer as these, drawn independently and uniformly. X
    is then hypergeometric in each layer, and the expectation given is that of the overlap itself, not the overlap of
    the expectation (for jaccard they differ). At 10% of the weights kept jaccard is 0.053 by chance, at 90% 0.82: the
    bare figure says little. Masks of one network share their layers' counts too; the excess is over masks that do.

    Args:
        mask1: Parameter name -> bool tensor, True is kept.
        mask2: The same names and shapes; on any device.
        method: "jaccard", "dice" or "overlap".

    Returns:
        overall_overlap, expected_by_chance, chance_deviation (standard deviation of the overlap by chance), and
        excess_over_chance (overall - expected);
        layer_overlaps, layer_expected, layer_excess: the same by parameter name;
        method, kept_by_both, kept_by_either, kept1, kept2, total: counts of weights.

    Raises:
        ValueError: The method is unknown, or the masks differ in names or shapes (all that do are listed).
    """
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}: use 'jaccard', 'dice' or 'overlap'")
    measure = _METHODS[method]
    one, other = dict(mask1), dict(mask2)
    masks.check_fit(one, other)
    masks.check_fit(other, one)
    if not one:
        raise ValueError("the masks name no tensor: there is nothing to compare")
    layers = {name: _counts(kept, other[name]) for name, kept in one.items()}
    by_chance = {
        name: shared(total, left, right) for name, (_, left, right, total) in layers.items()
    }
    both, kept1, kept2, total = (sum(counts) for counts in zip(*layers.values(), strict=True))
    overlaps, expected = {}, {}
    for name, (x, left, right, _) in layers.items():
        overlaps[name] = _exact(measure(left, right), x)
        expected[name], _ = by_chance[name].mean(measure(left, right))
    overall = _exact(measure(kept1, kept2), both)
    chance, deviation = together(by_chance.values()).mean(measure(kept1, kept2))
    return {
        "method": method,
        "overall_overlap": overall,
        "expected_by_chance": chance,
        "chance_deviation": deviation,
        "excess_over_chance": overall - chance,
        "layer_overlaps": overlaps,
        "layer_expected": expected,
        "layer_excess": {name: overlaps[name] - expected[name] for name in overlaps},
        "kept_by_both": both,
        "kept_by_either": kept1 + kept2 - both,
        "kept1": kept1,
        "kept2": kept2,
        "total": total,
    }


_Measure = Callable[[Tensor], Tensor]


def _jaccard(one: int, other: int) -> _Measure:
    return _ratio(lambda x: x, lambda x: one + other - x, one, other)


def _dice(one: int, other: int) -> _Measure:
    return _ratio(lambda x: 2 * x, lambda x: torch.full_like(x, one + other), one, other)


def _overlap(one: int, other: int) -> _Measure:
    return _ratio(lambda x: x, lambda x: torch.full_like(x, min(one, other)), one, other)


_METHODS: dict[str, Callable[[int, int], _Measure]] = {
    "jaccard": _jaccard,
    "dice": _dice,
    "overlap": _overlap,
}


def _ratio(above: _Measure, below: _Measure, one: int, other: int) -> _Measure:
    if not one or not other:
        same = 1.0 if one == other else 0.0
        return lambda x: torch.full_like(x, same)
    return lambda x: above(x) / below(x)


def _exact(measure: _Measure, x: int) -> float:
    return float(measure(torch.tensor(float(x), dtype=torch.float64, device="cpu")))


def _counts(one: Tensor, other: Tensor) -> tuple[int, int, int, int]:
    """Weights kept by both, by each, and in all."""
    both = left = right = 0
    for mine, theirs in blocks(one, other):
        there = theirs.to(mine.device)
        both += int((mine & there).sum())
        left += int(mine.sum())
        right += int(there.sum())
    return both, left, right, one.numel()
