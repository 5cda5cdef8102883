"""A network that is lent: trained by somebody else's function, and given back as it was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lottery_tickets.running.preserve import preserved

State = dict[str, Tensor]
"""Parameters and buffers by name, each tensor once, on the host."""


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, by its first name, tied ones once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def snapshot(model: nn.Module) -> State:
    """A copy of parameters and buffers on the host, safe from further training; once their bytes.

    Raises:
        ValueError: The network has tensors on the meta device, which hold no values.
    """
    found = tensors(model)
    empty = [name for name, tensor in found.items() if tensor.is_meta]
    if empty:
        raise ValueError(
            f"{', '.join(map(repr, empty[:3]))} lie on the meta device, without values: build the network on the CPU "
            f"or a GPU to train it"
        )
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in found.items()}


def put(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a state into the network in place; names of the network that it lacks stay as they are."""
    with torch.no_grad():
        for name, tensor in tensors(model).items():
            if name in state:
                tensor.copy_(state[name])


def check_state(model: nn.Module, state: Mapping[str, Tensor], called: str) -> None:
    """ValueError, naming all that is wrong, unless `state` (e.g. a state_dict) has a tensor of equal shape for every
    parameter and for every buffer that is saved, and no other."""
    known = model.state_dict()
    wanted = tensors(model)
    faults = [f"{name!r} is missing" for name in wanted if name in known and name not in state] + [
        f"{name!r} is none of the network's" for name in state if name not in {**known, **wanted}
    ]
    faults += [
        f"{name!r} is {tuple(state[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if faults:
        raise ValueError(
            f"{called} does not fit the network: {'; '.join(faults)}: pass its state_dict()"
        )


@contextmanager
def lent(model: nn.Module, *, restore: bool) -> Iterator[None]:
    """Inside, the network is in training mode and without gradients, and may be trained. Afterwards its mode,
    gradients, requires_grad are as they were, after an exception too; with `restore` its weights and buffers as well.

    Without `restore` weights and buffers stay as they were left inside.
    """
    found = snapshot(model) if restore else {}
    try:
        with preserved(model, training=True):
            try:
                yield
            finally:
                if (
                    not restore
                ):  # `preserved` brings buffers back, but they belong to the trained weights
                    found = {name: b.detach().clone() for name, b in model.named_buffers()}
    finally:
        put(model, found)
