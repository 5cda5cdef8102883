"""What must be removed together: indices of dimensions as atoms, tied in pairs, and locks with their reasons."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

FIXED = -1
"""Stands in a vector of atoms for an index that can never be removed."""


@dataclass(frozen=True)
class Lock:
    """Atoms that must stay, and why."""

    atoms: Tensor
    why: str


@dataclass
class Relations:
    """An atom is one index of one dimension of a parameter (or of a padding); ties make classes of them.

    Vectors of atoms are int64 on the CPU, one entry an index of a dimension, `FIXED` where it has no atom.
    """

    count: int = 0
    locks: list[Lock] = field(default_factory=list)
    _ties: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def fresh(self, number: int) -> Tensor:
        """Atoms that nothing else has."""
        self.count += number
        return torch.arange(self.count - number, self.count, device="cpu")

    def tie(self, one: Tensor, other: Tensor, why: str) -> None:
        """Entry by entry the same; what is tied to `FIXED` is locked for the reason given."""
        if one is other:
            return
        both = (one >= 0) & (other >= 0)
        if bool(both.any()):
            self._ties.append((one[both], other[both]))
        if not bool(both.all()):
            self.lock(torch.cat([one[~both], other[~both]]), why)

    def lock(self, atoms: Tensor | None, why: str) -> None:
        """Never to be removed."""
        if atoms is not None and bool((atoms >= 0).any()):
            self.locks.append(Lock(atoms[atoms >= 0], why))

    def classes(self) -> Tensor:
        """For each atom the lowest atom of its class.

        Every pass hooks the roots of tied atoms to the lowest of them and then shortens the ways to the roots, so
        that the number of passes grows with the logarithm of the longest chain.
        """
        root = torch.arange(self.count, device="cpu")
        if not self._ties:
            return root
        one, other = (torch.cat(side) for side in zip(*self._ties, strict=True))
        while True:
            left, right = root[one], root[other]
            lowest = torch.minimum(left, right)
            hooked = root.scatter_reduce(0, left, lowest, "amin")
            hooked = hooked.scatter_reduce(0, right, lowest, "amin")
            while not torch.equal(hooked, hooked[hooked]):
                hooked = hooked[hooked]
            if torch.equal(hooked, root):
                return root
            root = hooked
