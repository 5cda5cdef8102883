"""The sizes of a network's tensors, which is all that most predictions need."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lottery_tickets.modules import prunable
from lottery_tickets.patterns import Axis, reduction_axes


@dataclass(frozen=True)
class Size:
    """One tensor."""

    name: str
    numel: int
    itemsize: int
    features: int
    """Weights of one output, see `Axis.features`."""
    dims: int = 1
    trains: bool = True
    groups: int = 1
    """Of the convolution whose weight it is."""

    @property
    def bytes(self) -> int:
        return self.numel * self.itemsize


@dataclass(frozen=True)
class Network:
    """What is pruned, what there is beside it, and how much that is."""

    scored: tuple[Size, ...]
    """The `prunable` weights, in order."""
    parameters: tuple[Size, ...]
    """All parameters, tied ones once."""
    buffers: tuple[Size, ...]
    floating: int
    """Floats of parameters and buffers together."""

    @property
    def count(self) -> int:
        """Prunable weights."""
        return sum(one.numel for one in self.scored)

    @property
    def largest(self) -> int:
        """Weights of the largest prunable tensor."""
        return max(one.numel for one in self.scored)

    @property
    def weight_bytes(self) -> int:
        """Parameters and buffers."""
        return sum(one.bytes for one in (*self.parameters, *self.buffers))

    @property
    def buffer_bytes(self) -> int:
        return sum(one.bytes for one in self.buffers)

    @property
    def scored_bytes(self) -> int:
        """Prunable weights in their own dtype."""
        return sum(one.bytes for one in self.scored)


def network_of(model: nn.Module, exclude: Sequence[str] = ()) -> Network:
    """The sizes of `model`, which may be on the meta device.

    Raises:
        ValueError: No weight is prunable, or see `prunable`.
    """
    weights = prunable(model, exclude)
    if not weights:
        raise ValueError(
            "no weight can be pruned: the network has none that is prunable and not excluded"
        )
    everything = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    axes = dict.fromkeys(everything, Axis()) | reduction_axes(model, weights)
    sizes = {
        name: Size(
            name,
            tensor.numel(),
            tensor.element_size(),
            axes[name].features(tensor.shape) if tensor.dim() > 1 else tensor.numel(),
            tensor.dim(),
            tensor.requires_grad,
            axes[name].groups,
        )
        for name, tensor in everything.items()
    }
    return Network(
        scored=tuple(sizes[name] for name in weights),
        parameters=tuple(sizes[name] for name, _ in model.named_parameters()),
        buffers=tuple(sizes[name] for name, _ in model.named_buffers()),
        floating=sum(t.numel() for t in everything.values() if t.is_floating_point()),
    )
