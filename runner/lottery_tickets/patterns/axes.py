"""Along which axis of a weight its products are summed up.

That is the input axis: dimension 1 of (out, in) and of a convolution's (out, in / groups, kernel...), dimension 0 of
a transposed convolution's (in, out / groups, kernel...) and of the (in, out) of GPT-2's `Conv1D`. NVIDIA's ASP
(`apex.contrib.sparsity`) groups the weights of a convolution along it too, at each place of the kernel by itself: so
its kernels read them, channels last. To flatten a convolution to (out, in * kernel) first, as SparseGPT does for its
own sums, gives other groups.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from lottery_tickets.modules import is_transposed_linear


@dataclass(frozen=True)
class Axis:
    """The axis of a weight along which its products are summed, in groups of channels that never meet."""

    dim: int = 1
    groups: int = 1

    def length(self, shape: tuple[int, ...]) -> int:
        """How many weights are summed up: the most that a run of consecutive ones can hold."""
        if len(shape) <= self.dim:
            return 0
        # A convolution's dimension 1 holds one group's inputs, a transposed one's dimension 0 those of all.
        return shape[self.dim] // self.groups if self.dim == 0 else shape[self.dim]

    def features(self, shape: tuple[int, ...]) -> int:
        """Weights of one output: the columns of `outputs_first`."""
        return self.length(shape) * math.prod(shape[2:])


def reduction_axes(
    model_or_parameters: nn.Module | Mapping[str, Tensor], names: Mapping[str, Tensor]
) -> dict[str, Axis]:
    """The axis of each of `names`: as its module reads it, dimension 1 where there is no module to ask."""
    if not isinstance(model_or_parameters, nn.Module):
        return dict.fromkeys(names, Axis())
    found: dict[int, Axis] = {}
    for module in model_or_parameters.modules():
        if isinstance(module, _ConvNd):
            dim = 0 if isinstance(module, _ConvTransposeNd) else 1
            found[id(module.weight)] = Axis(dim, module.groups)
        elif is_transposed_linear(module):
            found[id(module.weight)] = Axis(0)
    return {name: found.get(id(weight), Axis()) for name, weight in names.items()}


def outputs_first(tensor: Tensor, axis: Axis) -> Tensor:
    """A weight, or what has its shape, as (outputs, weights of each); a view where it can be one.

    The channels of one group of a transposed convolution follow those of the one before, as in its output.
    """
    if axis.dim:
        return tensor.flatten(1)
    # (inputs, outputs / groups, ...), the groups one after another along the inputs.
    apart = tensor.reshape(axis.groups, -1, *tensor.shape[1:])
    return apart.transpose(1, 2).flatten(2).flatten(0, 1)


def as_found(rows: Tensor, axis: Axis, shape: Sequence[int]) -> Tensor:
    """`outputs_first`, undone."""
    if axis.dim:
        return rows.reshape(shape)
    inputs, outputs, *kernel = shape
    apart = rows.reshape(axis.groups, outputs, inputs // axis.groups, *kernel)
    return apart.transpose(1, 2).reshape(shape).contiguous()
