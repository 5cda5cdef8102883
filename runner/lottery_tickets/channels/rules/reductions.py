"""Functions along some dimensions: pooling, averages, softmax. What they go along is fixed, the others pass."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lottery_tickets.channels.tracing import Call, Labels, Rule, Trace


def pooling(trace: Trace, call: Call) -> Labels | Sequence[Labels]:
    """Over the last dimensions, as many as the name says; what comes before passes."""
    over = 3 if "3d" in call.name else 2 if "2d" in call.name else 1
    labels = trace.labels(call.arg(0, "input"))
    trace.lock(labels[-over:], f"{call.where}: a window goes along them")
    found = [*labels[:-over], *[None] * over]
    return found if isinstance(call.result, Tensor) else [list(found) for _ in call.result]


def resampling(trace: Trace, call: Call) -> Labels:
    """interpolate: everything but batch and channels."""
    labels = trace.labels(call.arg(0, "input"))
    trace.lock(labels[2:], f"{call.where}: they are interpolated")
    return [*labels[:2], *[None] * (len(labels) - 2)]


def reduction(trace: Trace, call: Call) -> Labels | Sequence[Labels] | None:
    """mean, sum, max and their like over dimensions, which must not hold channels."""
    tensor = call.arg(0, "input")
    labels = trace.labels(tensor)
    other = call.arg(1, "dim", call.kwargs.get("axis"))
    if isinstance(other, Tensor) or "other" in call.kwargs:  # max(a, b)
        trace.lock([*labels, *trace.labels(call.kwargs.get("other", other))], _why(call))
        return None
    over = _dims(other, tensor.dim())
    trace.lock([labels[dim] for dim in over], _why(call))
    first = call.result if isinstance(call.result, Tensor) else call.result[0]
    kept = first.dim() == tensor.dim() and bool(over)
    found: Labels = [
        None if dim in over else atoms
        for dim, atoms in enumerate(labels)
        if kept or dim not in over
    ]
    return found if isinstance(call.result, Tensor) else [list(found) for _ in call.result]


def along(trace: Trace, call: Call) -> Labels | Sequence[Labels]:
    """softmax and its like: the shape stays, the dimension it goes along is fixed."""
    tensor = call.arg(0, "input")
    labels = trace.labels(tensor)
    place, usual = (2, 1) if call.name == "normalize" else (1, None)
    dim = call.arg(place, "dim", call.kwargs.get("dims", usual))
    over = _dims(dim, tensor.dim())
    trace.lock([labels[one] for one in over], _why(call))
    found: Labels = [None if one in over else atoms for one, atoms in enumerate(labels)]
    return found if isinstance(call.result, Tensor) else [list(found) for _ in call.result]


def _dims(dim: Any, count: int) -> set[int]:
    if dim is None:
        return set(range(count))
    dims = dim if isinstance(dim, Sequence) else [dim]
    return {int.__int__(one) % max(count, 1) for one in dims} or set(range(count))


def _why(call: Call) -> str:
    return (
        f"{call.where}: the function goes along them, so that without some its answer would change"
    )


_POOLS = (
    f"{kind}_pool{size}d"
    for kind in ("max", "avg", "adaptive_max", "adaptive_avg", "lp")
    for size in (1, 2, 3)
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_POOLS, pooling),
    **dict.fromkeys(("interpolate", "upsample"), resampling),
    **dict.fromkeys(
        (
            *("mean", "sum", "var", "std", "amax", "amin", "max", "min", "prod", "logsumexp"),
            *("argmax", "argmin", "any", "all", "nansum", "nanmean", "median", "var_mean"),
        ),
        reduction,
    ),
    **dict.fromkeys(
        ("softmax", "log_softmax", "softmin", "normalize", "cumsum", "sort", "argsort", "flip"),
        along,
    ),
}
