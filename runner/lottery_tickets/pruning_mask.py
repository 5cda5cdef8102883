"""A mask as an object: it knows its file, its sparsity, and how to hold a network to it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lottery_tickets import masks
from lottery_tickets.enforcing import enforce
from lottery_tickets.modules import prunable


class PruningMask(Mapping[str, Tensor]):
    """Parameter name -> bool tensor, True is kept; wherever a mask is wanted, this is one.

    Args:
        model: A network; the mask begins by keeping all of its `prunable` weights. Or a mask, whose tensors are then
            shared, not copied.
        exclude: Patterns of weights of the network that the mask has no part in, see `prunable`.

    Raises:
        ValueError: A pattern of `exclude` matches nothing, or a tensor of the given mask is not bool.
    """

    def __init__(
        self, model: nn.Module | Mapping[str, Tensor], *, exclude: Sequence[str] = ()
    ) -> None:
        if isinstance(model, nn.Module):
            self._kept = masks.full(prunable(model, exclude))
        else:
            if exclude:
                raise ValueError(
                    f"exclude is {list(exclude)}, but a mask was given: leave out one of them"
                )
            masks.check_fit(model, model)
            self._kept = dict(model)

    @classmethod
    def of(cls, mask: Mapping[str, Tensor]) -> Self:
        """The same mask as an object, `PruningMask(mask)` in words."""
        return cls(mask)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """The mask that `save` wrote there, on the CPU.

        Raises:
            ValueError: The file is truncated, altered, or not a mask.
            FileNotFoundError: It is not there.
        """
        return cls.of(masks.load(path))

    def __getitem__(self, name: str) -> Tensor:
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __eq__(self, other: object) -> bool:
        """Whether the other, of whatever class, keeps the same weights of the same names, on whatever device."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.keys() == other.keys() and all(
            isinstance(other[name], Tensor) and torch.equal(kept.cpu(), other[name].cpu())
            for name, kept in self.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = masks.counts(self).values()
        kept, total = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
        return f"PruningMask({len(self)} tensors, {kept:,} of {total:,} weights kept, {self.sparsity:.2%} pruned)"

    @property
    def sparsity(self) -> float:
        """Fraction of the mask's weights that are pruned."""
        return masks.sparsity(self)

    @property
    def layer_sparsities(self) -> dict[str, float]:
        """Parameter name -> fraction of its weights that are pruned; 0 for a tensor of no weights."""
        return {name: masks.sparsity({name: kept}) for name, kept in self.items()}

    def apply(self, model: nn.Module | Mapping[str, Tensor]) -> None:
        """Set the pruned weights of the network to +0; what the mask does not name stays as it is.

        Raises:
            ValueError: The mask does not fit; all that does not is listed and nothing is changed.
        """
        masks.apply(model, self)

    def enforced(
        self, optimizer: torch.optim.Optimizer, model: nn.Module | Mapping[str, Tensor]
    ) -> RemovableHandle:
        """Keep the pruned weights at zero, now and after each step of the optimizer; see `enforce`.

        with mask.enforced(optimizer, model):
            train(model, optimizer)
        """
        return enforce(optimizer, model, self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as safetensors, a bit a weight, whatever the file's name ends with; see `masks.save`."""
        masks.save(self, path)

    def load(self, path: str | os.PathLike[str]) -> Self:
        """Become the mask that `save` wrote there; each tensor stays on its device. `from_file` makes a new one.

        Returns:
            This mask.

        Raises:
            ValueError: The file is truncated, altered or not a mask, or is for other weights than these (all
                differences are listed); the mask stays as it was.
            FileNotFoundError: It is not there.
        """
        loaded = masks.load(path)
        try:
            masks.check_fit(loaded, self)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)} is the mask of another network: {error}") from None
        self._kept = {name: loaded[name].to(kept.device) for name, kept in self.items()}
        return self
