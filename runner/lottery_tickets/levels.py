"""How many weights a level keeps, and of which tensors: the arithmetic of sparsity, in whole weights."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from lottery_tickets.budgets import apportion, erdos_renyi_kernel, split, uniform
from lottery_tickets.modules import match

Scope = Literal["global", "layer", "uniform", "erk", "lamp"]
"""Who competes with whom: see `keep_counts`."""


@dataclass(frozen=True)
class Budget:
    """Tensors whose weights compete with each other, and how many of those weights are kept."""

    names: tuple[str, ...]
    keep: int


def keep_counts(
    counts: Mapping[str, tuple[int, int]],
    target_sparsity: float | None,
    *,
    scope: Scope = "global",
    rate_factors: Mapping[str, float] | None = None,
    sparsities: Mapping[str, float] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[Budget]:
    """The budgets that take a network from where it is to exactly `target_sparsity`.

    In all, total - round(target_sparsity * total) weights are kept. Who keeps them is the scope's to say:

    - "global": all tensors compete in one budget.
    - "layer": each tensor has its own and loses the same fraction r of its survivors.
    - "uniform": each tensor has its own and ends at the same sparsity. (From a dense network that is "layer".)
    - "erk": each has its own, in proportion to the sum of its dimensions (Erdős-Rényi-Kernel; Evci et al. 2020,
      section 3); a tensor that would keep more than it has keeps all, and the others share the rest.
    - "lamp": one budget, as "global"; `prune` splits it by the weights' LAMP scores (see `lamp_counts`).

    A tensor with a rate factor f other than 1 loses f * r of its survivors, always in a budget of its own, whatever
    the scope (Frankle & Carbin 2019, section 2: the output layer at half the rate). r follows from the target:
    weights to remove / sum of f * survivors. A tensor with a sparsity of its own ends at it, and the others make
    up for it: `sparsities={"conv1": 0}` keeps the first layer dense, as "uniform" is often run. Whole numbers come
    by largest remainder, ties to the earlier budget.

    Args:
        counts: Parameter name -> (surviving weights, weights in all), as `masks.counts` gives it.
        target_sparsity: Fraction of all these weights that are pruned afterwards, in [0, 1). None: only those
            that `sparsities` names lose weights.
        scope: One of the above.
        rate_factors: Pattern (as `exclude` in `prunable`) -> factor f >= 0; 1 where no pattern matches.
        sparsities: Pattern -> fraction of that tensor's weights that are pruned afterwards, in [0, 1].
        shapes: Parameter name -> shape; scope "erk" needs it.

    Raises:
        ValueError: A sparsity is out of range, below the present one, or beyond what can be reached (the largest
            that can is given); a pattern matches nothing, or two give one tensor different numbers.
    """
    if scope not in get_args(Scope):
        raise ValueError(f"scope is {scope!r}: use {' or '.join(map(repr, get_args(Scope)))}")
    fixed = _fixed(counts, sparsities or {})
    factors = _factors(counts, rate_factors or {})
    both = [name for name in fixed if factors[name] != 1]
    if both:
        raise ValueError(
            f"rate_factors and sparsities both name {', '.join(both)}: let one of them say it"
        )
    if target_sparsity is None:
        if not fixed:
            raise ValueError("target_sparsity is missing: give it, or sparsities of modules")
        return [Budget((name,), fixed.get(name, left)) for name, (left, _) in counts.items()]
    free = {name: count for name, count in counts.items() if name not in fixed}
    remove = _to_remove(counts, target_sparsity, fixed)
    groups = _groups({name: factors[name] for name in free}, scope)
    weights = [sum(free[name][0] for name in group) * factors[group[0]] for group in groups]
    most = _most(free, factors, weights, alone=not any(fixed.values()))
    if remove > most:
        _refuse_unreachable(counts, target_sparsity, fixed, most)
    lost = apportion(remove, weights)
    budgets: list[Budget] = []
    for group, loss in zip(groups, lost, strict=True):
        keep = sum(free[name][0] for name in group) - loss
        budgets += _shared(group, keep, counts, scope, shapes, pool=factors[group[0]] == 1)
    return [*budgets, *(Budget((name,), keep) for name, keep in fixed.items())]


def _to_remove(
    counts: Mapping[str, tuple[int, int]], target: float, fixed: Mapping[str, int]
) -> int:
    """How many weights the tensors that are not fixed lose together."""
    check_fraction("target_sparsity", target)
    total = sum(all_ for _, all_ in counts.values())
    survivors = sum(left for left, _ in counts.values())
    keep = total - round(target * total)
    if keep > survivors:
        raise ValueError(
            f"target_sparsity {target} is below the {1 - survivors / total:.6g} that is already pruned, "
            f"and a pruned weight stays pruned: ask for more"
        )
    remove = survivors - keep - sum(counts[name][0] - left for name, left in fixed.items())
    if remove < 0:
        raise ValueError(
            f"target_sparsity {target} is below what sparsities ask of {', '.join(fixed)} alone: with the others as "
            f"they are, that is {1 - (keep + remove) / total:.6g}"
        )
    return remove


def check_fraction(name: str, sparsity: float, *, whole: bool = False) -> None:
    """ValueError unless it is in [0, 1), or in [0, 1] if all may go."""
    if not (0 <= sparsity < 1 or (whole and sparsity == 1)):
        percent = f", {sparsity / 100:g} for {sparsity:g} %" if 1 < sparsity < 100 else ""
        raise ValueError(
            f"{name} is {sparsity}: use a fraction in [0, 1{']' if whole else ')'}{percent}"
        )


def _fixed(
    counts: Mapping[str, tuple[int, int]], sparsities: Mapping[str, float]
) -> dict[str, int]:
    """What the tensors keep that have a sparsity of their own."""
    given = _by_name(counts, sparsities, "sparsities")
    for name, sparsity in given.items():
        check_fraction(f"the sparsity of {name!r}", sparsity, whole=True)
    fixed = {name: counts[name][1] - round(s * counts[name][1]) for name, s in given.items()}
    low = [
        f"{name} ({given[name]:g}, already at {1 - counts[name][0] / counts[name][1]:.6g})"
        for name, keep in fixed.items()
        if keep > counts[name][0]
    ]
    if low:
        raise ValueError(
            f"sparsities are below what is already pruned, and a pruned weight stays pruned: {', '.join(low)}"
        )
    return fixed


def _factors(names: Mapping[str, object], rate_factors: Mapping[str, float]) -> dict[str, Fraction]:
    """Each tensor's rate factor."""
    for pattern, factor in rate_factors.items():
        if not 0 <= factor < math.inf:
            raise ValueError(f"the rate factor of {pattern!r} is {factor}: use a number from 0 up")
    given = _by_name(names, rate_factors, "rate factors")
    return {name: Fraction(given.get(name, 1)) for name in names}


def _by_name(names: Collection[str], patterns: Mapping[str, float], what: str) -> dict[str, float]:
    """Parameter name -> the number that its pattern has."""
    numbers: dict[str, float] = {}
    for pattern, hits in match(names, patterns).items():
        number = patterns[pattern]
        for name in hits:
            if numbers.setdefault(name, number) != number:
                raise ValueError(
                    f"{name!r} has two {what}, {numbers[name]:g} and {number:g} (of {pattern!r}): "
                    f"let one pattern match it"
                )
    return {name: numbers[name] for name in names if name in numbers}


def _groups(factors: Mapping[str, Fraction], scope: Scope) -> list[tuple[str, ...]]:
    """Tensors that lose weights together, the pool of those without a rate factor first."""
    pool = tuple(name for name, factor in factors.items() if factor == 1 and scope != "layer")
    alone = [(name,) for name in factors if name not in pool]
    return [pool, *alone] if pool else [*alone]


def _most(
    free: Mapping[str, tuple[int, int]],
    factors: Mapping[str, Fraction],
    weights: Sequence[Fraction],
    *,
    alone: bool,
) -> int:
    """How many weights can be removed: no group more than all it has (f * r <= 1), nor the network its last."""
    steepest = max((factors[name] for name, (left, _) in free.items() if left), default=Fraction(0))
    if not steepest:
        return 0
    survivors = sum(left for left, _ in free.values())
    return min(survivors - 1 if alone else survivors, math.floor(sum(weights) / steepest))


def _refuse_unreachable(
    counts: Mapping[str, tuple[int, int]], target: float, fixed: Mapping[str, int], most: int
) -> None:
    total = sum(all_ for _, all_ in counts.values())
    survivors = sum(left for left, _ in counts.values())
    gone = total - survivors + sum(counts[name][0] - left for name, left in fixed.items())
    removes = survivors - (total - round(target * total))
    largest = math.floor((gone + most) / total * 1e6) / 1e6
    raise ValueError(
        f"target_sparsity {target} cannot be reached: it removes {removes} of {survivors} surviving "
        f"weights; the largest reachable here is {largest:.6g}"
    )


def _shared(
    group: tuple[str, ...],
    keep: int,
    counts: Mapping[str, tuple[int, int]],
    scope: Scope,
    shapes: Mapping[str, Sequence[int]] | None,
    *,
    pool: bool,
) -> list[Budget]:
    """The budgets of one group: a pool whose scope gives each tensor its own is split."""
    if not pool or scope not in ("uniform", "erk"):
        return [Budget(group, keep)]
    if scope == "erk":
        if shapes is None:
            raise ValueError("shapes is missing: scope 'erk' needs the shape of every tensor")
        shares = erdos_renyi_kernel({name: shapes[name] for name in group})
    else:
        shares = uniform({name: counts[name][1] for name in group})
    parts = split(keep, shares, {name: counts[name][0] for name in group})
    return [Budget((name,), part) for name, part in parts.items()]
