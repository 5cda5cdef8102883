"""Execution paths: the ways a saved network can be run. A speedup is always told with the path that gave it."""

from typing import Final, Protocol

import torch
from torch import Tensor, nn

import lottery_tickets
from lottery_tickets import channels
from ticketsmith.benchmark.timing import Pass


class ExecutionPath(Protocol):
    """Turns a network into a forward pass that can be timed."""

    @property
    def name(self) -> str:
        """As printed beside every speedup, e.g. dense."""
        ...

    def prepare(self, model: nn.Module, batch: Tensor) -> Pass:
        """A call that runs `model` on `batch`, and returns once the device has finished. `model` is the
        path's to change. Raises ValueError where the network does not suit the path."""
        ...


class DensePath:
    """Zeros are stored and multiplied like any other number: what PyTorch does with a masked network."""

    name = "dense"

    def prepare(self, model: nn.Module, batch: Tensor) -> Pass:
        model.eval()
        on_cuda = batch.device.type == "cuda"

        def run() -> None:
            with torch.inference_mode():
                model(batch)
                if on_cuda:
                    torch.cuda.synchronize(batch.device)

        return run


class CompactedPath:
    """Whole channels that are zero are cut out: a smaller dense network that answers the same."""

    name = "compacted"

    def prepare(self, model: nn.Module, batch: Tensor) -> Pass:
        """See ExecutionPath. ValueError where nothing can be cut out, or the outputs would differ."""
        model.eval()
        mask = {name: weight != 0 for name, weight in lottery_tickets.prunable(model).items()}
        return DensePath().prepare(channels.compact(model, mask, batch[:1]), batch)


PATHS: Final[dict[str, ExecutionPath]] = {
    path.name: path for path in (DensePath(), CompactedPath())
}
"""Every way to run a network, by name; another joins by standing here."""


def paths_for(pattern: str) -> tuple[ExecutionPath, ...]:
    """The ways worth timing a network that was pruned in this pattern."""
    names = ("dense", "compacted") if pattern == "channel" else ("dense",)
    return tuple(PATHS[name] for name in names)
