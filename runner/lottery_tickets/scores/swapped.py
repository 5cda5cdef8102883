"""A network with other tensors in place of its own, for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def swapped(model: nn.Module, others: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the network computes with these tensors instead of its parameters and buffers of these names.

    A tensor that stands in several places, tied or in a module shared twice, is replaced in all of them. (That is why
    this is not `torch.func.functional_call`, which leaves the new tensor behind in a module shared twice.)
    """
    own = dict([*model.named_parameters(), *model.named_buffers()])
    new = {id(own[name]): tensor for name, tensor in others.items()}
    found = [
        (slots, key, tensor)
        for module in model.modules()
        for slots in (module._parameters, module._buffers)
        for key, tensor in slots.items()
        if id(tensor) in new
    ]
    # Recurrent layers compute with a list that they hold beside their parameters.
    lists = [
        (module, module._flat_weights)
        for module in model.modules()
        if isinstance(module, nn.RNNBase)
    ]
    try:
        for slots, key, tensor in found:
            slots[key] = new[id(tensor)]  # type: ignore[assignment]
        for module, own_list in lists:
            module._flat_weights = [new.get(id(tensor), tensor) for tensor in own_list]
        yield
    finally:
        for slots, key, tensor in found:
            slots[key] = tensor  # type: ignore[assignment]
        for module, own_list in lists:
            module._flat_weights = own_list
