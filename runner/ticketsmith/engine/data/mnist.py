"""MNIST: 60,000 and 10,000 handwritten digits of 28 x 28 pixels, read from its own IDX files.

LeCun, Cortes, Burges: The MNIST database of handwritten digits.
"""

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ticketsmith.engine.data import sources
from ticketsmith.engine.data.base import Raw, Split, Tell
from ticketsmith.engine.data.options import Count, Options
from ticketsmith.experiment.problems import BadSpec

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PLACES = ("mnist", ".", "MNIST/raw", "mnist/MNIST/raw", "raw")
"""Folders below a root where the four files may lie."""
EXPECTED = (
    f"the files {', '.join((*TRAIN, *TEST))}, compressed (.gz) or not, "
    "in it or in its folder mnist or MNIST/raw"
)
CLASSES = tuple("0123456789")


class MnistOptions(Options):
    """Options of mnist."""

    validation: Count | None = 5000
    grayscale: bool = True


def find(uri: str | None) -> sources.Reader:
    """The reader of the files, wherever they are; BadSpec if they are nowhere."""
    folder = sources.locate("mnist", uri, _folder, EXPECTED)
    if folder is not None:
        return partial(_read, folder)
    sources.reachable("mnist", _mirrors(), EXPECTED)
    return _download


def read_idx(file: Path) -> Tensor:
    """The uint8 tensor in an IDX file, compressed or not; BadSpec names a file that is damaged."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        kind, dimensions = content[2], content[3]
        start = 4 + 4 * dimensions
        shape = [int(size) for size in np.frombuffer(content[4:start], dtype=">u4")]
        if content[:2] != b"\0\0" or kind != 8:
            raise ValueError("it is no IDX file of bytes")
        values = np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise BadSpec(f"{file} cannot be read ({error}): get the file anew") from error
    return torch.from_numpy(values)


def _folder(root: Path) -> Path | None:
    """The folder below `root` that has all four files."""
    candidates = (root / place for place in PLACES)
    return next((at for at in candidates if all(_file(at, name) for name in TRAIN + TEST)), None)


def _file(folder: Path, name: str) -> Path | None:
    return next((at for at in (folder / f"{name}.gz", folder / name) if at.is_file()), None)


def _read(folder: Path, _options: Options, _tell: Tell) -> Raw:
    return Raw(_split(folder, TRAIN), _split(folder, TEST), CLASSES, "MNIST")


def _split(folder: Path, names: tuple[str, str]) -> Split:
    images, labels = (read_idx(_file(folder, name) or folder / name) for name in names)
    if images.dim() != 3 or labels.shape != images.shape[:1] or int(labels.max()) >= len(CLASSES):
        raise BadSpec(f"{folder / names[0]} and {names[1]} do not belong together: get them anew")
    return Split(images.unsqueeze(1), labels.long())


def _download(options: Options, tell: Tell) -> Raw:
    from torchvision.datasets import MNIST  # takes seconds to import, and is rarely needed

    sources.download("mnist", _mirrors(), EXPECTED, lambda root: MNIST(str(root), download=True))
    return _read(sources.downloads() / "MNIST" / "raw", options, tell)


def _mirrors() -> list[str]:
    from torchvision.datasets import MNIST

    return [f"{mirror}{MNIST.resources[0][0]}" for mirror in MNIST.mirrors]
