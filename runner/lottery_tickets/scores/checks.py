"""What a score may be computed of: weights that are there, and are numbers."""

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lottery_tickets.modules import prunable


def scorable(model: nn.Module, exclude: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """The prunable weights, once it is sure that scores can be had of them.

    Raises:
        ValueError: There is none, one is on the meta device, holds no floats, or holds NaN or infinity (the tensor
            and the index are given); or see `prunable`.
    """
    weights = prunable(model, exclude)
    if not weights:
        raise ValueError(
            "no weight can be scored: the network has none that is prunable and not excluded"
        )
    for name, weight in weights.items():
        if weight.is_meta:
            raise ValueError(f"{name!r} is on the meta device, without values: load the weights")
        if not weight.is_floating_point():
            raise ValueError(f"{name!r} is {weight.dtype}: scores need weights of a float dtype")
        refuse_not_finite(weight, f"the weight {name!r}")
    return weights


def refuse_not_finite(tensor: Tensor, what: str, remedy: str = "") -> None:
    """ValueError that names `what` and the first index where the tensor is NaN or infinite, if there is one."""
    tensor = tensor.detach()
    if not tensor.numel() or torch.isfinite(torch.stack(tensor.aminmax())).all():
        return
    place = (~torch.isfinite(tensor)).nonzero()[0].tolist()
    value = float(tensor[tuple(place)])
    raise ValueError(f"{what} is {value} at index {tuple(place)}{remedy and ': ' + remedy}")


def refuse_broken(scores: Mapping[str, Tensor], what: str) -> None:
    """ValueError that names `what`, the tensor and the index if a score from gradients is NaN or infinite."""
    for name, score in scores.items():
        remedy = "a gradient is NaN, infinite or too large; look at the loss of each batch, or use a wider dtype"
        refuse_not_finite(score, f"{what} of {name!r}", remedy)


def warn_of_silent(scores: Mapping[str, Tensor], missing: str = "gradient") -> None:
    """One warning for all tensors whose scores are 0 throughout."""
    silent = [name for name, score in scores.items() if not _any(score)]
    if silent:
        warnings.warn(
            f"no {missing} reached {', '.join(silent)}: all their scores are 0, so they would be pruned first; "
            f"exclude them if that is not meant",
            stacklevel=3,
        )


def _any(score: Tensor) -> bool:
    return bool(score.numel()) and bool(torch.stack(score.aminmax()).any())
