"""The optimizers a spec can name, always in the fused form where torch has one for the device."""

from collections.abc import Iterable

import torch
import torch._dynamo  # the first optimizer imports it, in seconds: here, so that a fork server pays for it once
from torch.nn import Parameter

from ticketsmith.experiment.spec import OptimizerSpec

FUSED_DEVICES = ("cpu", "cuda")
STATE_PER_WEIGHT = {"sgd": 0, "adam": 2, "adamw": 2}
"""Tensors of a parameter's size that the optimizer keeps; the momentum of sgd adds one."""


def optimizer(
    spec: OptimizerSpec, parameters: Iterable[Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """SGD (L2 weight decay), Adam (L2) or AdamW (decoupled, 1711.05101) over `parameters`."""
    fused = device.type in FUSED_DEVICES
    match spec.name:
        case "sgd":
            return torch.optim.SGD(
                parameters,
                lr=spec.lr,
                momentum=spec.momentum,
                nesterov=spec.nesterov,
                weight_decay=spec.weight_decay,
                fused=fused,
            )
        case "adam":
            return torch.optim.Adam(
                parameters, lr=spec.lr, weight_decay=spec.weight_decay, fused=fused
            )
        case "adamw":
            return torch.optim.AdamW(
                parameters, lr=spec.lr, weight_decay=spec.weight_decay, fused=fused
            )


def state_tensors(spec: OptimizerSpec) -> int:
    """How many tensors of a parameter's size the optimizer keeps beside it."""
    return STATE_PER_WEIGHT[spec.name] + (1 if spec.momentum else 0)
