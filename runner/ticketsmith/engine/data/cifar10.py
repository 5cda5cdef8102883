"""CIFAR-10: 50,000 and 10,000 colour images of 32 x 32 pixels in ten classes.

Krizhevsky 2009, Learning multiple layers of features from tiny images. Taken from image files (then quoted as
"CIFAR-10, JPEG": those are slightly lossy) or from the original batches.
"""

from functools import partial
from pathlib import Path

import torch

from ticketsmith.engine.data import cache, pictures, sources
from ticketsmith.engine.data.base import Raw, Split, Tell
from ticketsmith.engine.data.options import Count, Options
from ticketsmith.experiment.problems import BadSpec

ARCHIVE = "cifar10-images.tar.xz"
BATCHES = "cifar-10-batches-py"
EXPECTED = f"the archive {ARCHIVE}, the folder {BATCHES}, or folders train/<class> and test/<class> of images"
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


class Cifar10Options(Options):
    """Options of cifar10."""

    validation: Count | None = 5000
    augment: bool = True


def find(uri: str | None) -> sources.Reader:
    """The reader of the archive, the batches or the images; BadSpec if they are nowhere."""
    reader = sources.locate("cifar10", uri, _pick, EXPECTED)
    if reader is not None:
        return reader
    sources.reachable("cifar10", _addresses(), EXPECTED)
    return _download


def _pick(root: Path) -> sources.Reader | None:
    if root.is_file():
        return partial(_read_images, root)
    for folder in (root, root / "cifar10"):
        if (folder / ARCHIVE).is_file():
            return partial(_read_images, folder / ARCHIVE)
        if (folder / BATCHES).is_dir():
            return partial(_read_batches, folder)
        if pictures.holds_splits(folder):
            return partial(_read_images, folder)
    return None


def _read_images(root: Path, _options: Options, tell: Tell) -> Raw:
    def make() -> Raw:
        return pictures.decoded(root, None, "CIFAR-10", tell)

    raw = cache.cached("cifar10", pictures.identity(root), make)
    if raw.class_names != CLASSES:
        raise BadSpec(
            f"{root} has the classes {', '.join(raw.class_names)}, which are not CIFAR-10's: "
            "set dataset.name to image_folder"
        )
    return raw


def _read_batches(folder: Path, _options: Options, _tell: Tell) -> Raw:
    """The original files, which are pickles: torchvision checks their MD5 before it opens them."""
    from torchvision.datasets import CIFAR10  # takes seconds to import, and is rarely needed

    splits = []
    for train in (True, False):
        try:
            read = CIFAR10(str(folder), train=train)
        except RuntimeError as error:
            raise BadSpec(
                f"{folder / BATCHES} is incomplete or damaged ({error}): get it anew"
            ) from error
        images = torch.from_numpy(read.data).permute(0, 3, 1, 2).contiguous()
        splits.append(Split(images, torch.tensor(read.targets)))
    return Raw(splits[0], splits[1], CLASSES, "CIFAR-10")


def _download(options: Options, tell: Tell) -> Raw:
    from torchvision.datasets import CIFAR10

    sources.download(
        "cifar10", _addresses(), EXPECTED, lambda root: CIFAR10(str(root), download=True)
    )
    return _read_batches(sources.downloads(), options, tell)


def _addresses() -> list[str]:
    from torchvision.datasets import CIFAR10

    return [CIFAR10.url]
