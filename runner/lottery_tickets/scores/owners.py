"""The modules that hold a weight."""

from collections.abc import Iterable, Mapping

from torch import nn

from lottery_tickets.modules import is_transposed_linear, multiplied


def owners(model: nn.Module, weights: Mapping[str, nn.Parameter]) -> dict[str, list[nn.Module]]:
    """Weight name -> the modules that multiply with it, each once; several where it is tied."""
    names = {id(weight): name for name, weight in weights.items()}
    found: dict[str, list[nn.Module]] = {name: [] for name in weights}
    for module in model.modules():
        for weight in multiplied(module).values():
            name = names.get(id(weight))
            if name is not None:
                found[name].append(module)
    return found


def of_types(
    found: Mapping[str, list[nn.Module]], kinds: Iterable[type[nn.Module]], method: str
) -> None:
    """ValueError that lists the weights of other modules than `method` knows."""
    known = tuple(kinds)
    others = [
        f"{name!r} ({type(module).__name__})"
        for name, modules in found.items()
        for module in modules
        if not isinstance(module, known) and not is_transposed_linear(module)
    ]
    if others:
        raise ValueError(
            f"{method} knows {', '.join(kind.__name__ for kind in known)}, not {', '.join(others)}: exclude them"
        )
