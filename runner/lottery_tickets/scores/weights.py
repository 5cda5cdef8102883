"""Scores that the weights alone decide, or a throw of dice: no data, no gradient."""

from collections.abc import Mapping

import torch
from torch import Tensor


def magnitude(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """|w| of every weight (Han et al. 2015; Frankle & Carbin 2019, section 1), in its own dtype and shape.

    This allocates a copy of the weights. `select(weights, keep, absolute=True)` ranks by |w| without one.
    """
    return {name: parameter.detach().abs() for name, parameter in parameters.items()}


def random(parameters: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Independent uniform scores in [0, 1), fp32, of each weight's shape and on its device.

    They are drawn on the generator's device, tensor by tensor in the given order, so a seed means the same scores
    wherever the weights lie.
    """
    return {
        name: torch.rand(
            parameter.shape, generator=generator, device=generator.device, dtype=torch.float32
        ).to(parameter.device)
        for name, parameter in parameters.items()
    }
