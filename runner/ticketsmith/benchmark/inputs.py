"""What the timed networks are fed: real test images where the data is there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ticketsmith.engine import data
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import DatasetSpec

_SEED = 20190306


@dataclass(frozen=True, slots=True)
class Inputs:
    """Images as the networks see them, on the device."""

    images: Tensor
    """fp32 [N, C, H, W], normalised."""
    num_classes: int
    source: str
    """In words."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def batch(self, size: int) -> Tensor:
        """fp32 [size, C, H, W]; the images begin again where there are fewer."""
        rows = torch.arange(size, device=self.images.device) % len(self.images)
        return self.images[rows].contiguous()


def load(dataset: DatasetSpec, device: torch.device, most: int) -> Inputs:
    """Up to `most` test images, or random ones of that shape where the data set is not there.

    Raises:
        BadSpec: the data set is unknown, or it is missing and only it knows its shape.
    """
    shape = data.shape(dataset)
    try:
        loaded = data.load(dataset, device)
    except BadSpec:
        if shape is None:
            raise
        (channels, height, width), num_classes = shape
        noise = torch.randn(
            (min(most, 256), channels, height, width),
            generator=torch.Generator().manual_seed(_SEED),
        )
        return Inputs(
            noise.to(device), num_classes, f"random numbers in the shape of {dataset.name}"
        )
    first = loaded.test.take(torch.arange(min(most, len(loaded.test)), device=device))
    batches = data.evaluation_batches(first, loaded, len(first))
    images = torch.cat([x for x, _ in batches]).float()
    return Inputs(images, loaded.num_classes, f"test images of {loaded.source}")
