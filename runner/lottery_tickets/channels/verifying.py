"""Is the smaller network's answer that of the masked one?"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lottery_tickets.channels.tracing import tensors_in
from lottery_tickets.channels.watching import arguments
from lottery_tickets.masks import Mask
from lottery_tickets.running import preserved

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.02}
"""Largest difference, as a fraction of the largest output. Sums of other lengths round differently."""


def masked_outputs(model: nn.Module, mask: Mask, example_inputs: Any) -> list[Tensor]:
    """What the network answers with the pruned weights at zero, in eval mode; the network keeps its weights."""
    parameters = dict(model.named_parameters())
    with preserved(model, training=False), torch.no_grad():
        zeroed = {
            name: parameters[name].masked_fill(~kept.to(parameters[name].device), 0)
            for name, kept in mask.items()
            if not bool(kept.all())
        }
        args, kwargs = arguments(example_inputs)
        return list(tensors_in(functional_call(model, zeroed, args, kwargs)))


def check_same(smaller: nn.Module, expected: list[Tensor], example_inputs: Any) -> None:
    """ValueError unless the smaller network answers as expected, to rounding."""
    remedy = "give the module concerned in exclude, or pass verify=False if you know that it does not matter"
    args, kwargs = arguments(example_inputs)
    with preserved(smaller, training=False), torch.no_grad():
        try:
            found = list(tensors_in(smaller(*args, **kwargs)))
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"the compacted network does not run ({type(error).__name__}: {first}): its code depends on sizes "
                f"in a way that was not seen; {remedy}"
            ) from error
    if [t.shape for t in found] != [t.shape for t in expected]:
        raise ValueError(f"the compacted network's outputs have other shapes: {remedy}")
    for one, other in zip(found, expected, strict=True):
        if one.is_meta:
            continue
        allowed = TOLERANCE.get(one.dtype, 0.0)
        scale = float(other.abs().max()) if other.numel() and allowed else 1.0
        apart = (one.double() - other.double()).abs()
        apart = apart.masked_fill(one.eq(other) | (one.isnan() & other.isnan()), 0)
        worst = float(apart.max()) if apart.numel() else 0.0
        # not (a <= b): a NaN is no agreement
        if not worst <= allowed * scale:
            raise ValueError(
                f"the compacted network's output differs by {worst:.3g} from that of the masked one, whose largest "
                f"is {scale:.3g}: it depends on channels in a way that was not seen; {remedy}"
            )
