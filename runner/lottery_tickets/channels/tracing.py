"""What a run of a network shows: how the dimensions of its parameters and activations depend on each other.

Every dimension of a tensor carries a vector of atoms, or None where nothing can be removed; the rules in `rules` say
how each function relates its inputs' dimensions to its output's. What has no rule locks all it touches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from lottery_tickets.channels.numbers import Number, Width
from lottery_tickets.channels.relations import Relations
from lottery_tickets.channels.sizes import Sizes

Labels = list[Tensor | None]
"""For each dimension its vector of atoms; None: fixed. A dimension of size 1 is always None."""

Role = Literal["rows", "columns", "along"]
"""How a parameter holds channels: it makes them, reads them, or goes along (norms, biases, scales)."""


@dataclass(frozen=True)
class Call:
    """One call of a torch function, with its answer."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any
    where: str
    """The module whose code made it, and the function, for people."""

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if position < len(self.args) else default


@dataclass(frozen=True)
class Product:
    """A use of a weight: at so many positions each of its elements is multiplied once."""

    weight: str
    positions: int


Rule = Callable[["Trace", Call], "Labels | Sequence[Labels | None] | None"]
"""Answers the labels of the output (of each, if it is a sequence of tensors); None: nothing in it can be removed."""


@dataclass
class Trace:
    """What one run has shown."""

    model: nn.Module
    relations: Relations = field(default_factory=Relations)
    sizes: Sizes = field(default_factory=Sizes)
    atoms: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    """(parameter or buffer, dimension) -> its vector of atoms."""
    roles: dict[tuple[str, int], Role] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    mixed: list[Tensor] = field(default_factory=list)
    """Atoms whose values something without atoms has a part in, so that even without weights they may vary."""

    def __post_init__(self) -> None:
        self._labels: Any = WeakIdKeyDictionary()  # a tensor is its own key, and is not kept alive
        self._stack: list[str] = []
        tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
        self._names = {id(tensor): name for name, tensor in reversed(tensors)}

    # What rules ask.

    def name_of(self, tensor: Any) -> str | None:
        """The first name of a parameter or buffer."""
        return self._names.get(id(tensor))

    def slices(self, tensor: Tensor, dim: int, role: Role = "along") -> Tensor | None:
        """The atoms of one dimension of a parameter or buffer."""
        name = self._names[id(tensor)]
        dim %= tensor.dim()
        if tensor.shape[dim] == 1:
            return None
        key = (name, dim)
        if key not in self.atoms:
            self.atoms[key] = self.relations.fresh(tensor.shape[dim])
        if self.roles.get(key, "along") == "along":
            self.roles[key] = role
        return self.atoms[key]

    def labels(self, tensor: Tensor) -> Labels:
        """The labels of a tensor, a parameter's included."""
        if id(tensor) in self._names:
            return [self.slices(tensor, dim) for dim in range(tensor.dim())]
        found: Labels = self._labels.get(tensor) or [None] * tensor.dim()
        return list(found)

    def lock(self, labels: Sequence[Tensor | None], why: str) -> None:
        for atoms in labels:
            self.relations.lock(atoms, why)

    def mix(self, labels: Sequence[Tensor | None]) -> None:
        self.mixed.extend(atoms for atoms in labels if atoms is not None)

    def tie(self, one: Tensor | None, other: Tensor | None, why: str) -> Tensor | None:
        """Make two dimensions one; where one of them is fixed, so is the other."""
        if one is None or other is None:
            self.lock([one, other], why)
            return None
        self.relations.tie(one, other, why)
        return one

    # What the run tells.

    def observe(self, call: Call, rule: Rule | None, *, follows_numbers: bool) -> None:
        """Note one call."""
        tensors = list(tensors_in([call.args, call.kwargs]))
        if rule is None:
            labelled = any(a is not None for t in tensors for a in self._known(t))
            outputs = any(True for _ in tensors_in(call.result))
            if labelled or (outputs and any(id(t) in self._names for t in tensors)):
                why = f"{call.where}: how this function treats channels is not known"
                for tensor in tensors:
                    self.lock(self.labels(tensor), why)
        if rule is None or not follows_numbers:
            for number in numbers_in([call.args, call.kwargs]):
                self.sizes.escape(number, call.where)
        if rule is not None:
            self._put(call.result, rule(self, call))

    def width(self, tensor: Tensor, dim: int) -> int:
        """A dimension's size, that remembers what it counts."""
        atoms = self._known(tensor)[dim]
        size = tensor.shape[dim]
        return size if atoms is None else Number(size, Width(atoms), self)

    def escaped(self, number: Number) -> None:
        self.sizes.escape(number, self.where)

    def equal(self, one: Number, other: int) -> None:
        for here, there in ((one, other), (other, one)):
            if isinstance(there, Number) and isinstance(there.origin, Width):
                self.sizes.require(here, there.origin.atoms, self.where)
                return
        self.escaped(one)
        if isinstance(other, Number):
            self.escaped(other)

    def shows_labels(self, tensor: Tensor) -> bool:
        return any(atoms is not None for atoms in self._known(tensor))

    @property
    def where(self) -> str:
        return (self._stack[-1] if self._stack else "") or "the network"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Keep account of which module's code runs."""
        with ExitStack() as hooks:
            for path, module in self.model.named_modules():

                def enter(_: nn.Module, __: Any, path: str = path) -> None:
                    self._stack.append(path)

                def leave(*_: Any) -> None:
                    self._stack.pop()

                hooks.callback(module.register_forward_pre_hook(enter, prepend=True).remove)
                hooks.callback(module.register_forward_hook(leave, always_call=True).remove)
            yield

    def _known(self, tensor: Tensor) -> Labels:
        """Labels without making atoms of a parameter's dimensions that nothing has asked for."""
        if name := self._names.get(id(tensor)):
            return [self.atoms.get((name, dim)) for dim in range(tensor.dim())]
        found: Labels = self._labels.get(tensor) or [None] * tensor.dim()
        return found

    def _put(self, result: Any, found: Labels | Sequence[Labels | None] | None) -> None:
        if found is None:
            return
        if isinstance(result, Tensor):
            self._put_one(result, found)  # type: ignore[arg-type]
        elif isinstance(result, list | tuple):
            for tensor, labels in zip(result, found, strict=True):
                if isinstance(tensor, Tensor) and labels is not None:
                    self._put_one(tensor, labels)  # type: ignore[arg-type]

    def _put_one(self, tensor: Tensor, labels: Labels) -> None:
        assert [len(a) for a in labels if a is not None] == [  # noqa: S101  # a wrong rule, not wrong input
            n for a, n in zip(labels, tensor.shape, strict=True) if a is not None
        ]
        if id(tensor) not in self._names:
            self._labels[tensor] = [a if n > 1 else None for a, n in zip(labels, tensor.shape)]  # noqa: B905


def tensors_in(nested: Any) -> Iterator[Tensor]:
    """Every tensor of a nesting of sequences, mappings and data classes."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, Mapping):
        for value in nested.values():
            yield from tensors_in(value)
    elif isinstance(nested, list | tuple | set):
        for value in nested:
            yield from tensors_in(value)
    elif isinstance(nested, slice):
        yield from tensors_in([nested.start, nested.stop, nested.step])
    elif is_dataclass(nested) and not isinstance(nested, type):
        for one in fields(nested):
            yield from tensors_in(getattr(nested, one.name))


def numbers_in(nested: Any) -> Iterator[Number]:
    """Every number with an origin in the arguments of a call."""
    if isinstance(nested, Number):
        yield nested
    elif isinstance(nested, Mapping):
        for value in nested.values():
            yield from numbers_in(value)
    elif isinstance(nested, list | tuple):
        for value in nested:
            yield from numbers_in(value)
    elif isinstance(nested, slice):
        yield from numbers_in([nested.start, nested.stop, nested.step])


def plain(nested: Any) -> Any:
    """The same arguments with ordinary whole numbers."""
    if isinstance(nested, Number):
        return int.__int__(nested)
    if type(nested) is dict:
        return {name: plain(value) for name, value in nested.items()}
    if type(nested) in (list, tuple):
        return type(nested)(plain(value) for value in nested)
    if isinstance(nested, torch.Size):
        return torch.Size(plain(list(nested)))
    if isinstance(nested, slice):
        return slice(plain(nested.start), plain(nested.stop), plain(nested.step))
    return nested
