"""Data sets: read once, held on the training device as uint8, shuffled and augmented there.

A data set is a file in this folder and its line in `SETS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ticketsmith.engine.data import cifar10, digits, image_folder, mnist
from ticketsmith.engine.data.base import Augmentation, Data, Split, Tell
from ticketsmith.engine.data.batches import Batches, evaluation_batches
from ticketsmith.engine.data.options import Options, read_options
from ticketsmith.engine.data.prepare import prepare
from ticketsmith.engine.data.sources import Reader
from ticketsmith.engine.suggest import unknown
from ticketsmith.experiment.spec import DatasetSpec

__all__ = [
    "SETS",
    "Augmentation",
    "Batches",
    "Data",
    "DataSet",
    "Split",
    "Tell",
    "check",
    "evaluation_batches",
    "load",
    "names",
    "shape",
]


@dataclass(frozen=True, slots=True)
class DataSet:
    """How to find a data set, and what is known of it before it is read."""

    find: Callable[[str | None], Reader]
    """Given dataset.uri, the reader of the data; BadSpec, with how to get it, if it is missing."""
    options: type[Options]
    size: int | None = None
    """Height and width of its images, where they are the same for everybody."""
    num_classes: int | None = None


SETS = {
    "digits": DataSet(digits.find, digits.DigitsOptions, 8, 10),
    "mnist": DataSet(mnist.find, mnist.MnistOptions, 28, 10),
    "cifar10": DataSet(cifar10.find, cifar10.Cifar10Options, 32, 10),
    "image_folder": DataSet(image_folder.find, image_folder.ImageFolderOptions),
}


def names() -> list[str]:
    """The data sets there are."""
    return list(SETS)


def load(
    dataset: DatasetSpec, device: torch.device, tell: Tell = lambda _done, _total: None
) -> Data:
    """Read a data set whole and put it on `device`. `tell` hears how far a first, slow reading has come.

    Raises BadSpec for an unknown name or option, and for data that is missing (with how to get it) or damaged.
    """
    chosen, options = _entry(dataset)
    return prepare(_name(dataset), chosen.find(dataset.uri)(options, tell), options, device)


def check(dataset: DatasetSpec) -> None:
    """BadSpec for what `load` would refuse at once: name, options, missing data. Reads no images."""
    chosen, _ = _entry(dataset)
    chosen.find(dataset.uri)


def shape(dataset: DatasetSpec) -> tuple[tuple[int, int, int], int] | None:
    """((channels, height, width), number of classes), known without the data; None if only the data tells.

    Raises BadSpec for an unknown name or option.
    """
    chosen, options = _entry(dataset)
    size = options.size or chosen.size
    if size is None or chosen.num_classes is None:
        return None
    return (1 if options.grayscale else 3, size, size), chosen.num_classes


def _name(dataset: DatasetSpec) -> str:
    return dataset.name.casefold().replace("-", "_")


def _entry(dataset: DatasetSpec) -> tuple[DataSet, Options]:
    name = _name(dataset)
    if name not in SETS:
        raise unknown("dataset.name", dataset.name, SETS)
    return SETS[name], read_options(name, SETS[name].options, dataset.options)
