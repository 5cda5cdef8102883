"""What a data set is once it is read: uint8 splits on the training device, and what was learnt from them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Tell = Callable[[int, int], None]
"""Told (images done, images in all) while a long reading goes on."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images and what they show."""

    images: Tensor
    """uint8 [N, C, H, W], pixels 0..255."""
    labels: Tensor
    """int64 [N], 0 <= label < number of classes."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Split":
        """The images at `indices` (int64 [n]), copied."""
        return Split(self.images[indices], self.labels[indices])

    def to(self, device: torch.device) -> "Split":
        """The same split on `device`, images in one piece of memory."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of training images."""

    flip: bool
    """Mirror left and right with probability one half."""
    padding: int
    """Zero pixels added on every side before a crop of the original size at a random place."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A data set as its source has it: on the CPU, training images not yet divided."""

    train: Split
    test: Split
    class_names: tuple[str, ...]
    source: str
    """Where it came from, in words for a report, e.g. CIFAR-10, JPEG."""
    validation: Split | None = None
    """Where the source has its own."""


@dataclass(frozen=True, slots=True)
class Data:
    """A data set on the training device."""

    name: str
    source: str
    """Where it came from, in words for a report, e.g. CIFAR-10, JPEG."""
    train: Split
    validation: Split
    """Held out of the training images; decides whatever is chosen."""
    test: Split
    """Read once per round, for the report."""
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """Per channel, over the pixels of the training split scaled to [0, 1]."""
    std: tuple[float, ...]
    """Per channel, likewise."""
    augment: Augmentation | None
    """What training images undergo; None leaves them as they are."""

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width
