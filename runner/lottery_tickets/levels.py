"""How many weights a level keeps, and of which tensors: the arithmetic of sparsity, in whole weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from lottery_tickets.modules import match

Scope = Literal["global", "layer"]


@dataclass(frozen=True)
class Budget:
    """Tensors whose weights compete with each other, and how many of those weights are kept."""

    names: tuple[str, ...]
    keep: int


def keep_counts(
    counts: Mapping[str, tuple[int, int]],
    target_sparsity: float,
    *,
    scope: Scope = "global",
    rate_factors: Mapping[str, float] | None = None,
) -> list[Budget]:
    """The budgets that take a network from where it is to exactly `target_sparsity`.

    In all, total - round(target_sparsity * total) weights are kept. In scope "global" all tensors compete in one
    budget; in scope "layer" each has its own and loses the same fraction r of its survivors. A tensor with a rate
    factor f other than 1 loses f * r of its survivors, always in a budget of its own (Frankle & Carbin 2019,
    section 2: the output layer at half the rate). r follows from the target: weights to remove / sum of f *
    survivors. Whole numbers come by largest remainder, ties to the earlier budget.

    Args:
        counts: Parameter name -> (surviving weights, weights in all), as `masks.counts` gives it.
        target_sparsity: Fraction of all these weights that are pruned afterwards, in [0, 1).
        scope: "global" or "layer".
        rate_factors: Pattern (as `exclude` in `prunable`) -> factor f >= 0; 1 where no pattern matches.

    Raises:
        ValueError: The target is outside [0, 1), below the present sparsity, or beyond what can be reached (the
            largest that can is given); a pattern matches nothing, or two give one tensor different factors.
    """
    if scope not in ("global", "layer"):
        raise ValueError(f"scope is {scope!r}: use 'global' or 'layer'")
    if not 0 <= target_sparsity < 1:
        raise ValueError(f"target_sparsity is {target_sparsity}: use a fraction in [0, 1)")
    total = sum(all_ for _, all_ in counts.values())
    survivors = sum(left for left, _ in counts.values())
    remove = survivors - (total - round(target_sparsity * total))
    if remove < 0:
        raise ValueError(
            f"target_sparsity {target_sparsity} is below the {1 - survivors / total:.6g} that is already pruned, "
            f"and a pruned weight stays pruned: ask for more"
        )
    factors = _factors(counts, rate_factors or {})
    groups = _groups(factors, scope)
    weights = [sum(counts[name][0] for name in group) * factors[group[0]] for group in groups]
    steepest = max(
        (factors[name] for name, (left, _) in counts.items() if left), default=Fraction(0)
    )
    # No group may lose more than all it has (f * r <= 1), and the network must not lose its last weight.
    most = min(survivors - 1, math.floor(sum(weights) / steepest)) if steepest else 0
    if remove > max(most, 0):
        largest = math.floor((total - survivors + max(most, 0)) / total * 1e6) / 1e6
        raise ValueError(
            f"target_sparsity {target_sparsity} cannot be reached: it removes {remove} of {survivors} surviving "
            f"weights; the largest reachable here is {largest:.6g}"
        )
    removed = _apportion(remove, weights)
    return [
        Budget(group, sum(counts[name][0] for name in group) - lost)
        for group, lost in zip(groups, removed, strict=True)
    ]


def _factors(names: Mapping[str, object], rate_factors: Mapping[str, float]) -> dict[str, Fraction]:
    """Each tensor's rate factor."""
    factors: dict[str, Fraction] = {}
    for pattern, hits in match(names.keys(), rate_factors).items():
        factor = rate_factors[pattern]
        if not 0 <= factor < math.inf:
            raise ValueError(f"the rate factor of {pattern!r} is {factor}: use a number from 0 up")
        for name in hits:
            if factors.setdefault(name, Fraction(factor)) != Fraction(factor):
                raise ValueError(
                    f"{name!r} has two rate factors, {float(factors[name]):g} and {factor:g} (of {pattern!r}): "
                    f"let one pattern match it"
                )
    return {name: factors.get(name, Fraction(1)) for name in names}


def _groups(factors: Mapping[str, Fraction], scope: Scope) -> list[tuple[str, ...]]:
    """Tensors that share a budget, those that compete globally first."""
    pool = tuple(name for name, factor in factors.items() if factor == 1 and scope == "global")
    alone = [(name,) for name in factors if name not in pool]
    return [pool, *alone] if pool else [*alone]


def _apportion(whole: int, weights: list[Fraction]) -> list[int]:
    """Split `whole` in proportion to `weights` into whole numbers (largest remainder, ties to the first)."""
    if not whole:
        return [0] * len(weights)
    exact = [whole * weight / sum(weights) for weight in weights]
    parts = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in by_remainder[: whole - sum(parts)]:
        parts[i] += 1
    return parts
