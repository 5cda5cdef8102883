"""What a network's sizes must be when channels go: which attributes follow, and which channels cannot go for them."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lottery_tickets.channels.numbers import (
    Attribute,
    Form,
    Number,
    form_of,
    form_of_vector,
    parts,
)
from lottery_tickets.channels.relations import Relations


@dataclass(frozen=True)
class Demand:
    """A number in the code that must count these indices (None: that must stay as it is)."""

    number: int
    atoms: Tensor | None
    where: str


@dataclass
class Sizes:
    """Everything the code does with numbers, judged when the trace is complete."""

    demands: list[Demand] = field(default_factory=list)
    escaped: list[Demand] = field(default_factory=list)

    def require(self, number: int, atoms: Tensor | None, where: str) -> None:
        """The number must be the count of these indices."""
        if isinstance(number, Number) or atoms is not None:
            self.demands.append(Demand(number, atoms, where))

    def escape(self, number: Number, where: str) -> None:
        """The number was used in a way that is not followed."""
        self.escaped.append(Demand(number, None, where))

    def settle(self, relations: Relations) -> tuple[Tensor, dict[Attribute, Tensor]]:
        """Lock what the sizes do not allow to go.

        Returns:
            For each atom the root of its class, and for each attribute that has to follow the indices it counts.
        """
        root = relations.classes()
        locked = torch.zeros(relations.count, dtype=torch.bool, device="cpu")
        done = 0
        while True:
            for lock in relations.locks[done:]:
                locked[root[lock.atoms]] = True
            done = len(relations.locks)
            vectors, bound = self._bind(relations, root, locked)
            self._judge(relations, root, locked, vectors, bound)
            if len(relations.locks) == done:
                return root, {one: vectors[one][0] for one, form in bound.items() if form.counts}

    def _bind(
        self, relations: Relations, root: Tensor, locked: Tensor
    ) -> tuple[dict[Attribute, list[Tensor]], dict[Attribute, Form]]:
        """What each attribute counts; one that would have to count two different things locks both."""
        vectors: dict[Attribute, list[Tensor]] = {}
        bound: dict[Attribute, Form] = {}
        for demand in self.demands:
            attribute = _attribute(demand.number)
            if attribute is None:
                continue
            wanted = _wanted(demand, root, locked)
            atoms = [] if demand.atoms is None else [demand.atoms]
            vectors.setdefault(attribute, []).extend(atoms)
            if bound.setdefault(attribute, wanted) != wanted:
                why = f"{demand.where}: the attribute {attribute.name} stands for several widths"
                for vector in vectors[attribute]:
                    _lock_free(relations, vector, root, locked, why)
        return vectors, bound

    def _judge(
        self,
        relations: Relations,
        root: Tensor,
        locked: Tensor,
        vectors: dict[Attribute, list[Tensor]],
        bound: dict[Attribute, Form],
    ) -> None:
        """Lock the channels of numbers that would come out wrong."""
        for demand in self.demands:
            wanted = _wanted(demand, root, locked)
            if form_of(demand.number, root, locked, bound) != wanted:
                why = f"{demand.where}: {_how(demand.number)} does not follow the channels"
                involved = [] if demand.atoms is None else [demand.atoms]
                for atoms in involved + _vectors(demand.number, vectors):
                    _lock_free(relations, atoms, root, locked, why)
        for escaped in self.escaped:
            found = form_of(escaped.number, root, locked, bound)
            if found is None or found.counts:
                why = f"{escaped.where}: the network computes with their number"
                for atoms in _vectors(escaped.number, vectors):
                    _lock_free(relations, atoms, root, locked, why)


def _attribute(number: int) -> Attribute | None:
    if isinstance(number, Number) and isinstance(number.origin, Attribute):
        return number.origin
    return None


def _wanted(demand: Demand, root: Tensor, locked: Tensor) -> Form:
    if demand.atoms is None:
        return Form(int.__int__(demand.number))
    return form_of_vector(demand.atoms, root, locked)


def _vectors(number: int, vectors: dict[Attribute, list[Tensor]]) -> list[Tensor]:
    """All atoms that the number counts, through attributes too."""
    found: list[Tensor] = []
    for part in parts(number):
        found.extend(vectors.get(part, []) if isinstance(part, Attribute) else [part])
    return found


def _lock_free(relations: Relations, atoms: Tensor, root: Tensor, locked: Tensor, why: str) -> None:
    """Lock those that are not locked already, so that locking comes to an end."""
    known = atoms[atoms >= 0]
    relations.lock(known[~locked[root[known]]], why)


def _how(number: int) -> str:
    attribute = _attribute(number)
    if attribute is not None:
        return f"the attribute {attribute.name}"
    if isinstance(number, Number):
        return f"the computed size {int.__int__(number)}"
    return f"the size {number} written in the code (write -1 or x.shape[...] for it)"
