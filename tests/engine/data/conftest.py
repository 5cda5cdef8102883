"""A cache of its own for every test, and small data sets made on the spot."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no data set in the environment."""
    home = tmp_path / "cache home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.delenv("TICKETSMITH_DATA", raising=False)
    return home


class WritePicture(Protocol):
    """Writes a picture (width, height) of one colour but for a white pixel at the top left."""

    def __call__(
        self, file: Path, colour: tuple[int, int, int], size: tuple[int, int] = (6, 5)
    ) -> None: ...


@pytest.fixture
def write_picture() -> WritePicture:
    """Writes single-coloured pictures."""

    def write(file: Path, colour: tuple[int, int, int], size: tuple[int, int] = (6, 5)) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", size, colour)
        image.putpixel((0, 0), (255, 255, 255))
        image.save(file)

    return write


@pytest.fixture
def picture_folder(tmp_path: Path, write_picture: WritePicture) -> Path:
    """Two classes: 20 training and 4 test images each, 6 wide and 5 high, PNG."""
    root = tmp_path / "pets"
    for label, base in (("cat", 10), ("dog", 150)):
        for number in range(20):
            write_picture(root / "train" / label / f"{number:02}.png", (base + number, 0, 7))
        for number in range(4):
            write_picture(root / "test" / label / f"{number}.png", (base + 50 + number, 0, 7))
    return root


def write_idx(file: Path, values: np.ndarray) -> None:
    """An IDX file of bytes, compressed if its name says so."""
    head = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    content = head + values.astype(np.uint8).tobytes()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


@pytest.fixture
def make_mnist() -> Callable[..., Path]:
    """Writes the four files of a tiny MNIST, 40 and 10 images, with the given ending of their names."""

    def make(folder: Path, ending: str = ".gz") -> Path:
        draw = np.random.default_rng(0)
        for part, count in (("train", 40), ("t10k", 10)):
            images = draw.integers(0, 256, (count, 28, 28))
            write_idx(folder / f"{part}-images-idx3-ubyte{ending}", images)
            write_idx(folder / f"{part}-labels-idx1-ubyte{ending}", np.arange(count) % 10)
        return folder

    return make
