"""Whole numbers that remember where they come from: a width of an activation, or an attribute of a module.

A network's code says `x.view(batch, tokens, self.heads, -1)` or `channels // 2`. When channels go, such numbers must
follow: a width does by itself, an attribute if it is set anew, and a number written in the code cannot. While a
network is traced, widths and attributes are `Number`s; sums, products and quotients of them remember their parts.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from lottery_tickets.channels.relations import FIXED


@dataclass(frozen=True)
class Attribute:
    """An attribute of the module of that name."""

    module: str
    name: str


@dataclass(frozen=True)
class Width:
    """How many indices a dimension has: its vector of atoms."""

    atoms: Tensor


@dataclass(frozen=True)
class Result:
    """An operation on two numbers."""

    operation: str
    left: int
    right: int


Origin = Attribute | Width | Result


class Listener(Protocol):
    """Whoever is told what becomes of numbers."""

    def escaped(self, number: "Number") -> None:
        """It was used in a way that is not followed."""
        ...

    def equal(self, one: "Number", other: int) -> None:
        """The code found them equal, and may rely on it."""
        ...


class Number(int):
    """An int with its origin. Used in any way that is not followed, it is reported as escaped."""

    origin: Origin
    listener: Listener
    _operations: ClassVar[dict[str, Callable[[int, int], int]]] = {
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "floordiv": operator.floordiv,
    }

    def __new__(cls, value: int, origin: Origin, listener: Listener) -> "Number":
        number = super().__new__(cls, value)
        number.origin, number.listener = origin, listener
        return number

    def _with(self, operation: str, other: Any, *, swapped: bool = False) -> Any:
        """The result with its origin, where both are whole numbers; else what Python says, and this one escaped."""
        if type(other) not in (int, Number):
            self.listener.escaped(self)
            method = f"__{'r' if swapped else ''}{operation}__"
            return getattr(int, method)(int.__int__(self), other)
        left, right = (other, self) if swapped else (self, other)
        value = self._operations[operation](int.__int__(left), int.__int__(right))
        return Number(value, Result(operation, left, right), self.listener)

    def __add__(self, other: Any) -> Any:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self._with("mul", other, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._with("floordiv", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with("floordiv", other, swapped=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Number":
        return self

    def __reduce__(self) -> Any:
        return int, (int.__int__(self),)

    __hash__ = int.__hash__


def _comparing(name: str) -> Callable[..., Any]:
    """== and !=: numbers that are equal have to stay so."""
    plain = getattr(int, name)

    def method(self: Number, other: Any) -> Any:
        if isinstance(other, int) and int.__eq__(self, int.__int__(other)):
            self.listener.equal(self, other)
        else:
            self.listener.escaped(self)
        return plain(self, other)

    return method


def _escaping(name: str) -> Callable[..., Any]:
    """A method of int that first tells that the number is used in a way that is not followed."""
    plain = getattr(int, name)

    def method(self: Number, *others: Any) -> Any:
        self.listener.escaped(self)
        return plain(self, *others)

    return method


for _name in (
    *("__float__", "__int__", "__index__", "__truediv__", "__rtruediv__", "__mod__", "__rmod__"),
    *("__divmod__", "__rdivmod__", "__pow__", "__rpow__", "__neg__", "__lt__", "__le__", "__gt__"),
    *("__ge__", "__lshift__", "__rshift__", "__and__", "__or__", "__xor__"),
):
    setattr(Number, _name, _escaping(_name))
for _name in ("__eq__", "__ne__"):
    # Set after the class is made, they leave the hash of int in place.
    setattr(Number, _name, _comparing(_name))


@contextmanager
def remembered(model: nn.Module, listener: Listener) -> Iterator[None]:
    """Inside, every whole-number attribute of every module is a `Number`; afterwards they are what they were."""
    replaced: list[tuple[nn.Module, str, int]] = []
    try:
        for path, module in model.named_modules():
            for name, value in list(vars(module).items()):
                if type(value) is int:
                    replaced.append((module, name, value))
                    vars(module)[name] = Number(value, Attribute(path, name), listener)
        yield
    finally:
        for module, name, value in replaced:
            # A network may count its calls in an attribute: that is its own affair.
            now = vars(module).get(name)
            if isinstance(now, Number):
                unchanged = isinstance(now.origin, Attribute)
                vars(module)[name] = value if unchanged else int.__int__(now)


@dataclass(frozen=True)
class Form:
    """A number as so many fixed ones, and for each class of atoms how many of its atoms are counted."""

    fixed: int
    counts: tuple[tuple[int, int], ...] = ()

    def times(self, factor: int) -> "Form":
        return Form(self.fixed * factor, tuple((root, n * factor) for root, n in self.counts))

    def plus(self, other: "Form", sign: int) -> "Form":
        sums = dict(self.counts)
        for root, n in other.counts:
            sums[root] = sums.get(root, 0) + sign * n
        left = tuple(sorted((root, n) for root, n in sums.items() if n))
        return Form(self.fixed + sign * other.fixed, left)

    def divided(self, other: "Form") -> "Form | None":
        """The whole quotient, if it is known whatever is removed."""
        if not other.counts:
            if not self.counts:
                return Form(self.fixed // other.fixed) if other.fixed else None
            by = other.fixed
            if by and self.fixed % by == 0 and all(n % by == 0 for _, n in self.counts):
                return Form(self.fixed // by, tuple((root, n // by) for root, n in self.counts))
            return None
        ratio = self.counts[0][1] // other.counts[0][1] if self.counts else 0
        return Form(ratio) if ratio and other.times(ratio) == self else None


def form_of_vector(atoms: Tensor, root: Tensor, locked: Tensor) -> Form:
    """The number of indices of a dimension; those that are locked count as fixed."""
    roots = root[atoms[atoms != FIXED]]
    free, counts = torch.unique(roots[~locked[roots]], return_counts=True)
    return Form(
        len(atoms) - int(counts.sum()), tuple(zip(free.tolist(), counts.tolist(), strict=True))
    )


def form_of(
    number: int, root: Tensor, locked: Tensor, bound: Mapping[Attribute, Form]
) -> Form | None:
    """The number as it will be after removal; None if that cannot be said."""
    if not isinstance(number, Number):
        return Form(number)
    origin = number.origin
    if isinstance(origin, Attribute):
        return bound.get(origin, Form(int.__int__(number)))
    if isinstance(origin, Width):
        return form_of_vector(origin.atoms, root, locked)
    left = form_of(origin.left, root, locked, bound)
    right = form_of(origin.right, root, locked, bound)
    if left is None or right is None:
        return None
    if origin.operation in ("add", "sub"):
        return left.plus(right, 1 if origin.operation == "add" else -1)
    if origin.operation == "mul":
        if left.counts and right.counts:
            return None
        return left.times(right.fixed) if not right.counts else right.times(left.fixed)
    return left.divided(right)


def parts(number: int) -> Iterator[Attribute | Tensor]:
    """The attributes and vectors of atoms a number is made of."""
    if isinstance(number, Number):
        origin = number.origin
        if isinstance(origin, Result):
            yield from parts(origin.left)
            yield from parts(origin.right)
        else:
            yield origin.atoms if isinstance(origin, Width) else origin
