"""Batches of a split, made on its device: gathered, augmented and normalised without touching single images.

An epoch's order and its augmentation are pure functions of (seed, epoch), and what befalls a batch depends
on its place in the epoch alone. So training can be resumed at any step, bit for bit, from two numbers.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ticketsmith.engine.data.base import Augmentation, Data, Split


class Normalisation:
    """uint8 pixels to float32 of mean 0 and deviation 1 per channel: one multiplication, one addition."""

    def __init__(self, data: Data, device: torch.device) -> None:
        std = torch.tensor(data.std, dtype=torch.float64)
        mean = torch.tensor(data.mean, dtype=torch.float64)
        self._scale = (1 / (255 * std)).float().view(1, -1, 1, 1).to(device)
        self._shift = (-mean / std).float().view(1, -1, 1, 1).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """float32 [B, C, H, W] from uint8 of the same shape."""
        return images.float().mul_(self._scale).add_(self._shift)


@dataclass(frozen=True, slots=True)
class Draw:
    """The random part of an augmentation, one value an image."""

    flip: Tensor
    """bool [N]."""
    top: Tensor
    """int64 [N], first row of the crop in the padded image."""
    left: Tensor
    """int64 [N], its first column."""

    def part(self, start: int, end: int) -> "Draw":
        """Values of the images from `start` up to `end`."""
        return Draw(self.flip[start:end], self.top[start:end], self.left[start:end])


def draw(augment: Augmentation, count: int, generator: torch.Generator) -> Draw:
    """Draw for `count` images, on the CPU so that every device sees the same values."""
    places = 2 * augment.padding + 1
    flips = torch.randint(2, (count,), generator=generator).bool()
    return Draw(
        flip=flips if augment.flip else torch.zeros_like(flips),
        top=torch.randint(places, (count,), generator=generator),
        left=torch.randint(places, (count,), generator=generator),
    )


def augmented(images: Tensor, drawn: Draw, padding: int) -> Tensor:
    """Pad with zeros, crop at the drawn place, mirror where drawn; uint8 [B, C, H, W] in and out."""
    count, channels, height, width = images.shape
    rows = drawn.top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, width)
    columns = torch.where(drawn.flip[:, None], width - 1 - columns, columns) + drawn.left[:, None]
    pixels = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    padded = pad(images, (padding,) * 4).view(count, channels, -1)
    chosen = pixels.view(count, 1, -1).expand(-1, channels, -1)
    return padded.gather(2, chosen).view(images.shape)


class Batches:
    """Endless epochs over a split, each in its own random order; the last batch of one may be smaller."""

    def __init__(
        self, split: Split, data: Data, batch_size: int, *, seed: int, augment: bool
    ) -> None:
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._augment = data.augment if augment else None
        self._device = split.images.device
        self._normalise = Normalisation(data, self._device)

    def __len__(self) -> int:
        """Batches, so optimizer steps, in an epoch."""
        return -(-len(self._split) // self._batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches `start`, start + 1, ... of epoch `number`: float32 [B, C, H, W] normalised, int64 [B]."""
        size = self._batch_size
        order, drawn = self._shuffle(number)
        for first in range(start * size, len(order), size):
            chosen = order[first : first + size]
            images = self._split.images.index_select(0, chosen)
            if self._augment is not None and drawn is not None:
                part = drawn.part(first, first + size)
                images = augmented(images, part, self._augment.padding)
            yield self._normalise(images), self._split.labels.index_select(0, chosen)

    def _shuffle(self, number: int) -> tuple[Tensor, Draw | None]:
        """Order and augmentation of a whole epoch, on the device."""
        count = len(self._split)
        order = torch.randperm(count, generator=_generator(self._seed, number, "order"))
        order = order.to(self._device)
        if self._augment is None:
            return order, None
        drawn = draw(self._augment, count, _generator(self._seed, number, "augment"))
        return order, Draw(
            drawn.flip.to(self._device), drawn.top.to(self._device), drawn.left.to(self._device)
        )


def evaluation_batches(
    split: Split, data: Data, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every image of a split once, in order: float32 [B, C, H, W] normalised, int64 [B]."""
    normalise = Normalisation(data, split.images.device)
    for first in range(0, len(split), batch_size):
        part = slice(first, first + batch_size)
        yield normalise(split.images[part]), split.labels[part]


def _generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """A CPU generator of its own for one purpose in one epoch: unlike seed + epoch, no two coincide."""
    digest = hashlib.sha256(f"{purpose}/{seed}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
