"""Ends a round whose numbers broke, naming the step and the first tensor that is not finite."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ticketsmith.experiment.problems import BrokenNumbers

WINDOW = {"cpu": 1, "cuda": 64}
"""Steps between two looks at the losses. Reading one waits for the device: free on the CPU, dear on a GPU."""


REMEDY = "lower training.optimizer.lr, or set training.gradientClip or a warmup"


class LossWindow:
    """Keeps the losses of the last steps on the device and reads them together.

    Every loss is kept apart, so the step that broke is named exactly although it is noticed up to a window late.
    """

    def __init__(self, device: torch.device) -> None:
        self._length = WINDOW.get(device.type, 1)
        self._losses: list[Tensor] = []
        self._first = 0

    def add(self, step: int, loss: Tensor) -> bool:
        """Keep the loss of `step`; whether the window is now full and `read` is due."""
        if not self._losses:
            self._first = step
        self._losses.append(loss.detach())
        return len(self._losses) == self._length

    def read(self) -> dict[int, float]:
        """Step -> loss of the steps since the last read; empties the window."""
        losses: list[float] = torch.stack(self._losses).tolist() if self._losses else []
        self._losses.clear()
        return dict(enumerate(losses, self._first))


def check_losses(losses: Mapping[int, float], model: nn.Module, batch: Tensor) -> None:
    """BrokenNumbers if the loss of a step is not finite."""
    for step, loss in losses.items():
        if not math.isfinite(loss):
            bad = _first_bad_state(model) or _first_bad_output(model, batch) or "the loss itself"
            raise BrokenNumbers(
                f"the loss became {loss} at step {step}; the first tensor that is not finite is {bad}: {REMEDY}"
            )


def check_validation_loss(loss: float, step: int) -> None:
    """BrokenNumbers if the loss on held-out images is not finite after `step` steps."""
    if not math.isfinite(loss):
        raise BrokenNumbers(
            f"after step {step} the validation loss is {loss}, although every weight is finite: {REMEDY}"
        )


def check_weights(model: nn.Module, step: int) -> None:
    """BrokenNumbers if a parameter or buffer is not finite after `step` steps."""
    bad = _first_bad_state(model)
    if bad is not None:
        raise BrokenNumbers(f"after step {step} the tensor {bad} is not finite: {REMEDY}")


def _first_bad_state(model: nn.Module) -> str | None:
    """The first parameter or buffer, in the network's order, that holds a NaN or an infinity."""
    floating = {n: t for n, t in model.state_dict().items() if t.is_floating_point()}
    # One number per tensor, read together: a single wait for the device. An infinite sum of finite weights
    # is only suspected, so the suspects are looked at one by one.
    sums = torch.stack([t.sum(dtype=torch.float32) for t in floating.values()]).tolist()
    for (name, tensor), total in zip(floating.items(), sums, strict=True):
        if not math.isfinite(total) and not bool(tensor.isfinite().all()):
            return name
    return None


@torch.no_grad()
def _first_bad_output(model: nn.Module, batch: Tensor) -> str | None:
    """The first module whose output overflows on `batch` although every weight is finite."""
    found: list[str] = []

    def looked(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            del module, inputs
            if isinstance(output, Tensor) and not bool(output.isfinite().all()):
                found.append(f"the output of {name}")

        return hook

    hooks = [m.register_forward_hook(looked(n)) for n, m in model.named_modules() if n]
    try:
        model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None
