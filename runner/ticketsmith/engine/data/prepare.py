"""From what a source has to what training takes: sizes, channels, splits and statistics."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ticketsmith.engine.data.base import Augmentation, Data, Raw, Split
from ticketsmith.engine.data.options import Options
from ticketsmith.engine.data.split import hold_out, shuffled
from ticketsmith.experiment.problems import BadSpec

AUGMENTATION = Augmentation(flip=True, padding=4)
"""He et al. 2016 (Deep residual learning), section 4.2."""
CHUNK = 1024
LUMINANCE = (299, 587, 114)
"""Thousandths of red, green and blue: ITU-R BT.601."""


def prepare(name: str, raw: Raw, options: Options, device: torch.device) -> Data:
    """Divide, convert and measure a data set, then move it to `device`; BadSpec if too few images are left."""
    train, validation = _divide(name, raw, options)
    if options.limit is not None:
        train = train.take(shuffled(len(train), "limit")[: options.limit].sort().values)
    train, validation, test = (_convert(split, options) for split in (train, validation, raw.test))
    mean, std = statistics(train.images)
    return Data(
        name=name,
        source=raw.source,
        train=train.to(device),
        validation=validation.to(device),
        test=test.to(device),
        class_names=raw.class_names,
        mean=mean,
        std=std,
        augment=AUGMENTATION if options.augment else None,
    )


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, pixels scaled to [0, 1]; a constant channel's is given as 1.

    Counts how often each of the 256 values occurs, so the result is exact on any number of threads.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.reshape(-1), minlength=256).double() / channel.numel()
        mean = float((share * values).sum())
        variance = float((share * (values - mean) ** 2).sum())
        means.append(mean)
        deviations.append(variance**0.5 or 1.0)
    return tuple(means), tuple(deviations)


def resized(images: Tensor, size: int) -> Tensor:
    """uint8 [N, C, size, size]: bilinear, averaging over the area that shrinks into a pixel."""
    if images.shape[2:] == (size, size):
        return images
    made = torch.empty((*images.shape[:2], size, size), dtype=torch.uint8)
    for first in range(0, len(images), CHUNK):
        part = slice(first, first + CHUNK)
        smooth = interpolate(
            images[part].float(), (size, size), mode="bilinear", antialias=True, align_corners=False
        )
        made[part] = smooth.round_().clamp_(0, 255)
    return made


def with_channels(images: Tensor, grayscale: bool) -> Tensor:
    """uint8 [N, 1 or 3, H, W]: luminance of colours, or grey in all three."""
    channels = images.shape[1]
    if channels == (1 if grayscale else 3):
        return images
    if not grayscale:
        return images.repeat(1, 3, 1, 1)
    made = torch.empty((len(images), 1, *images.shape[2:]), dtype=torch.uint8)
    weights = torch.tensor(LUMINANCE).view(1, 3, 1, 1)
    for first in range(0, len(images), CHUNK):
        part = slice(first, first + CHUNK)
        weighted = (images[part].int() * weights).sum(1, keepdim=True)
        made[part] = (weighted + 500) // 1000
    return made


def _convert(split: Split, options: Options) -> Split:
    images = with_channels(split.images, options.grayscale)
    if options.size is not None:
        images = resized(images, options.size)
    return Split(images.contiguous(), split.labels)


def _divide(name: str, raw: Raw, options: Options) -> tuple[Split, Split]:
    """(training, validation): the source's own validation split, or a fixed part of its training split."""
    if raw.validation is not None:
        if options.validation is not None:
            raise BadSpec(
                f"dataset.options.validation is {options.validation}, but {name} has a validation "
                "split of its own: leave the option out"
            )
        return raw.train, raw.validation
    whole = len(raw.train)
    count = options.validation if options.validation is not None else whole // 10
    if not 0 < count < whole:
        raise BadSpec(
            f"dataset.options.validation is {count}, but {name} has {whole} training images: "
            f"hold out between 1 and {whole - 1}"
        )
    validation, train = hold_out(raw.train, count, "validation")
    return train, validation
