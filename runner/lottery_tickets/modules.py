"""Which weights of a network may be pruned, and which of them a pattern means."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

Parameters = Mapping[str, Tensor]
"""Weights by parameter name, in the order that decides ties."""


def prunable(model: nn.Module, exclude: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """The weights that pruning may set to zero: those that inputs are multiplied with.

    They are the weights of linear layers (GPT-2's `Conv1D` among them), of (transposed) convolutions, of attention and
    of recurrent layers. Biases, norms and embeddings are never among them, nor is a linear weight tied to an
    embedding. A weight that several modules share stands once, under its first name.

    Args:
        model: Any network; only names, types and identities are read, so meta tensors do.
        exclude: Shell patterns (`fnmatch`, case counts) over the names of modules, of the modules around them,
            and of parameters: `fc3`, `layer1.*`, `*.downsample.0`, `fc.weight`. A module's name covers its parts.

    Returns:
        Parameter name -> parameter, in the order of `model.named_parameters()`.

    Raises:
        ValueError: A pattern matches no prunable weight; it and the nearest names are given.
    """
    owners: dict[int, list[str]] = {}
    embedded: set[int] = set()
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            embedded.add(id(module.weight))
        for attribute, weight in multiplied(module).items():
            label = f"{name}.{attribute}" if name else attribute
            owners.setdefault(id(weight), []).append(label)
    found = {
        name: parameter
        for name, parameter in model.named_parameters()
        if id(parameter) in owners and id(parameter) not in embedded
    }
    aliases = {name: owners[id(parameter)] for name, parameter in found.items()}
    matched = match(found, exclude, aliases=aliases)
    excluded = {name for hits in matched.values() for name in hits}
    return {name: parameter for name, parameter in found.items() if name not in excluded}


def multiplied(module: nn.Module) -> dict[str, nn.Parameter]:
    """Attribute -> weight, of this module and not of its parts, that inputs are multiplied with.

    Those of (bi)linear layers (GPT-2's `Conv1D` among them), of (transposed) convolutions, of recurrent layers, and of
    attention's projections where `nn.MultiheadAttention` holds them itself.
    """
    if isinstance(module, nn.Linear | nn.Bilinear | _ConvNd) or is_transposed_linear(module):
        names = ["weight"]
    elif isinstance(module, nn.MultiheadAttention):
        names = ["in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"]
    elif isinstance(module, nn.RNNBase):
        names = [name for name in module._flat_weights_names if name.startswith("weight")]
    elif isinstance(module, nn.RNNCellBase):
        names = ["weight_ih", "weight_hh"]
    else:
        return {}
    found = {name: getattr(module, name, None) for name in names}
    return {name: weight for name, weight in found.items() if isinstance(weight, nn.Parameter)}


def is_transposed_linear(module: nn.Module) -> bool:
    """Whether it is the linear layer of transformers' GPT-2, `Conv1D`, whose weight is (in, out).

    It goes by the class's name, since transformers need not be there.
    """
    return any(
        kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.")
        for kind in type(module).__mro__
    )


def match(
    names: Iterable[str],
    patterns: Iterable[str],
    *,
    aliases: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, list[str]]:
    """Which parameters each pattern means, in the order of `names`.

    Args:
        names: Parameter names.
        patterns: Shell patterns, as in `prunable`.
        aliases: Further names of a parameter (a tied weight has several).

    Raises:
        ValueError: A pattern matches nothing; it and the nearest names are given.
    """
    labels = {
        name: [label for path in (name, *(aliases or {}).get(name, ())) for label in _owners(path)]
        for name in names
    }
    matched = {}
    for pattern in patterns:
        hits = [
            name
            for name, candidates in labels.items()
            if any(fnmatchcase(label, pattern) for label in candidates)
        ]
        if not hits:
            raise ValueError(_no_match(pattern, labels))
        matched[pattern] = hits
    return matched


def named(model_or_parameters: nn.Module | Parameters) -> dict[str, Tensor]:
    """Every parameter by each name it has (a module's), or the mapping itself as a dict."""
    if isinstance(model_or_parameters, nn.Module):
        return dict(model_or_parameters.named_parameters(remove_duplicate=False))
    return dict(model_or_parameters)


def pieces(tensor: Tensor, size: int) -> Iterator[Tensor]:
    """The elements of `tensor` in flat (row-major) order, as 1-d tensors of at most `size` elements.

    A contiguous tensor is not copied; of any other one piece at a time is.
    """
    if tensor.is_contiguous():
        if tensor.numel():
            yield from torch.split(tensor.view(-1), size)
    elif tensor.numel() <= size:
        yield tensor.reshape(-1)
    else:
        rows = max(1, size * tensor.shape[0] // tensor.numel())
        for part in torch.split(tensor, rows):
            yield from pieces(part[0] if len(part) == 1 else part, size)


def _owners(path: str) -> Iterator[str]:
    """A parameter's name, then the names of the modules that hold it, innermost first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _no_match(pattern: str, labels: Mapping[str, Sequence[str]]) -> str:
    known = {
        label.casefold(): label
        for name, own in labels.items()
        for label in own
        if label != name or len(own) == 1
    }
    near = difflib.get_close_matches(pattern.casefold(), known, n=3, cutoff=0.4) or list(known)[:3]
    nearest = (
        f"the nearest are {', '.join(known[key] for key in near)}" if near else "there are none"
    )
    return (
        f"pattern {pattern!r} matches no prunable weight (those that inputs are multiplied with): "
        f"{nearest}"
    )
