"""How a budget is split over the tensors of a network: in proportion to something, never beyond what each has."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction


def uniform(totals: Mapping[str, int]) -> dict[str, int]:
    """Shares that leave every tensor equally sparse (Evci et al. 2020, RigL, 1911.11134, section 3): their sizes."""
    return dict(totals)


def erdos_renyi_kernel(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Shares of the Erdős-Rényi-Kernel budget, ERK (Evci et al. 2020, RigL, 1911.11134, section 3).

    The density of a tensor is proportional to the sum of its dimensions over their product, so the number of its
    weights that are kept is proportional to the sum: n_in + n_out for a linear layer, with the kernel's width and
    height for a convolution. Large tensors become the sparsest.
    """
    return {name: max(1, sum(shape)) for name, shape in shapes.items()}


def split(whole: int, shares: Mapping[str, int], limits: Mapping[str, int]) -> dict[str, int]:
    """`whole` in proportion to `shares`, but no part above its limit; what is cut off goes to the others.

    This is ERK's rule for tensors that would be more than dense: they are kept whole, and the rest share what is
    left in the same proportion. Exact in fractions; whole numbers by largest remainder, ties to the earlier name.

    Args:
        whole: What is split, 0 to the sum of the limits.
        shares: Name -> share, above 0.
        limits: Name -> most that this one may get.
    """
    parts = dict.fromkeys(shares, 0)
    growing = [name for name in shares if limits[name]]
    left = whole
    while growing:
        unit = Fraction(left, sum(shares[name] for name in growing))
        full = [name for name in growing if unit * shares[name] >= limits[name]]
        if not full:
            break
        for name in full:
            parts[name] = limits[name]
            left -= limits[name]
        growing = [name for name in growing if name not in full]
    amounts = apportion(left, [Fraction(shares[name]) for name in growing])
    return parts | dict(zip(growing, amounts, strict=True))


def apportion(whole: int, weights: Sequence[Fraction]) -> list[int]:
    """Split `whole` in proportion to `weights` into whole numbers (largest remainder, ties to the first)."""
    if not whole:
        return [0] * len(weights)
    exact = [whole * weight / sum(weights) for weight in weights]
    parts = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in by_remainder[: whole - sum(parts)]:
        parts[i] += 1
    return parts
