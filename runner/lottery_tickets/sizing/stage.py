"""A place to rehearse a pass through a network: fake tensors with shapes and no values, or the network's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.running import Batch, move, preserved
from lottery_tickets.running.batches import changed, device_of, tensors
from lottery_tickets.scores.swapped import swapped
from lottery_tickets.sizing.counting import Counting


@dataclass(frozen=True)
class Stage:
    """What a rehearsal has: a network in the right mode, a batch, and who counts."""

    model: nn.Module
    batch: Any
    count: Counting


Run = Callable[[Stage], None]


def on_fakes(model: nn.Module, example: Batch, samples: int, run: Run, training: bool) -> Counting:
    """Rehearse with fake CPU tensors in place of the network's own: no memory, no work, no change."""
    # Imported when it is needed: it brings much of the compiler with it.
    from torch._subclasses.fake_tensor import FakeTensorMode

    own = dict([*model.named_parameters(), *model.named_buffers()])

    def faked(tensor: Tensor) -> Tensor:
        fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(fake, requires_grad=tensor.requires_grad)
        return fake

    def repeated(tensor: Tensor) -> Tensor:
        shape = (samples, *tensor.shape[1:]) if tensor.dim() else ()
        return torch.empty(shape, dtype=tensor.dtype, device="cpu")

    count = Counting()
    with FakeTensorMode(allow_non_fake_inputs=True):
        fakes = {name: faked(tensor) for name, tensor in own.items()}
        batch = changed(example, repeated)
        count.know([*fakes.values(), *tensors(batch)])
        with swapped(model, fakes), preserved(model, training=training), count:
            run(Stage(model, batch, count))
    return count


def as_it_is(model: nn.Module, example: Batch, samples: int, run: Run, training: bool) -> Counting:
    """Rehearse with the network's own tensors, which takes the memory and the time of the pass."""

    def repeated(tensor: Tensor) -> Tensor:
        return tensor[:1].expand(samples, *tensor.shape[1:]).clone() if tensor.dim() else tensor

    batch = move(changed(example, repeated), device_of(model))
    count = Counting()
    count.know([*model.parameters(), *model.buffers(), *tensors(batch)])
    with torch.random.fork_rng(), preserved(model, training=training), count:
        run(Stage(model, batch, count))
    return count
