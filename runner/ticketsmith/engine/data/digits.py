"""digits: the 1,797 handwritten digits of 8 x 8 pixels inside scikit-learn; needs no download.

Alpaydin, Kaynak: Optical Recognition of Handwritten Digits (UCI), its test part.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from ticketsmith.engine.data.base import Raw, Split, Tell
from ticketsmith.engine.data.options import Count, Options
from ticketsmith.engine.data.sources import Reader
from ticketsmith.engine.data.split import hold_out
from ticketsmith.experiment.problems import BadSpec

TEST_IMAGES = 360
DARKEST = 16
"""The files count ink from 0 to 16."""


class DigitsOptions(Options):
    """Options of digits; a fifth of the 1,437 training images is held out."""

    validation: Count | None = 287
    grayscale: bool = True


def find(uri: str | None) -> Reader:
    """The reader of the embedded images; BadSpec if a place is given for them."""
    if uri is not None:
        raise BadSpec(f"dataset.uri is {uri!r}, but digits comes with scikit-learn: leave uri out")
    _file()
    return _read


def _file() -> Path:
    """The images, found without importing scikit-learn: that takes seconds, in every round's process."""
    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return file
    raise BadSpec("dataset.name 'digits' needs scikit-learn: install ticketsmith[runner]")


def _read(_options: Options, _tell: Tell) -> Raw:
    table = np.loadtxt(_file(), delimiter=",", dtype=np.int64)
    pixels, labels = torch.from_numpy(table[:, :-1]), torch.from_numpy(table[:, -1].copy())
    bytes_ = (pixels * 255 + DARKEST // 2) // DARKEST
    whole = Split(bytes_.to(torch.uint8).view(-1, 1, 8, 8), labels)
    test, train = hold_out(whole, TEST_IMAGES, "test")
    return Raw(train, test, tuple("0123456789"), "digits of scikit-learn")
