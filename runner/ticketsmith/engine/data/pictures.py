"""Images in files: train/<class>/*.jpg and so on, in a folder or an archive, decoded to uint8."""

import hashlib
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ticketsmith.engine.data.base import Raw, Split, Tell
from ticketsmith.experiment.problems import BadSpec

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png"})
SPLITS = {"train": "train", "test": "test", "val": "validation"}
LARGE = 16_384
"""Bytes of an image file from which decoding it is worth a thread."""
CHUNK = 512
"""Files read before they are decoded together: bounds what lies in memory undecoded."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file: in which split, of which class, and how to read it."""

    split: str
    label: str
    name: str
    read: Callable[[], bytes]


def holds_splits(root: Path) -> bool:
    """Whether `root` is an archive, or a folder with train and test in it."""
    return root.is_file() or all((root / split).is_dir() for split in ("train", "test"))


def identity(root: Path) -> list[str]:
    """What changes when the files do: place, names, sizes and times of the folder's images, or of the archive."""
    digest = hashlib.sha256()
    for file in [root] if root.is_file() else sorted(_files(root)):
        stat = file.stat()
        digest.update(f"{file.relative_to(root)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return [str(root.resolve()), digest.hexdigest()]


def decoded(root: Path, size: int | None, source: str, tell: Tell) -> Raw:
    """All images below the folder, or in the archive, `root` as RGB; classes are numbered by name.

    Each is resized to size x size if that is given, else all must be of one size. BadSpec names the first
    image that cannot be decoded or has another size, and a split or class that is missing. `source` is the
    data set's name for a report, which adds that JPEG is lossy.
    """
    listed: list[Picture] = []
    images: list[Tensor] = []
    with _pictures(root) as (count, pictures), ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(islice(pictures, CHUNK)):
            contents = [picture.read() for picture in chunk]
            # Threads that hand the interpreter's lock around take longer over small images than one alone.
            large = sum(map(len, contents)) > LARGE * len(contents)
            each = (pool.map if large else map)(_decode, chunk, contents, repeat(size))
            images += each
            listed += chunk
            tell(len(listed), count)
    _refuse_mixed_sizes(listed, images)
    lossy = any(PurePosixPath(each.name).suffix.lower() != ".png" for each in listed)
    splits, classes = _divided(root, listed, images)
    return Raw(class_names=classes, source=f"{source}, JPEG" if lossy else source, **splits)


def _divided(
    root: Path, listed: list[Picture], images: list[Tensor]
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits by their names in Raw, each ordered by class and file name, and the class names."""
    classes = sorted({picture.label for picture in listed if picture.split == "train"})
    splits = {}
    for split in SPLITS:
        chosen = [n for n, picture in enumerate(listed) if picture.split == split]
        if not chosen and split != "val":
            raise BadSpec(f"{root} has no images at {split}/<class>/*.jpg or *.png: put some there")
        if not chosen:
            continue
        chosen.sort(key=lambda n: (listed[n].label, listed[n].name))
        strange = {listed[n].label for n in chosen} - set(classes)
        if strange:
            raise BadSpec(
                f"{root} has the class {min(strange)!r} in {split} but not in train: "
                "give every split the same class folders"
            )
        labels = torch.tensor([classes.index(listed[n].label) for n in chosen])
        splits[SPLITS[split]] = Split(torch.stack([images[n] for n in chosen]), labels)
    return splits, tuple(classes)


@contextmanager
def _pictures(root: Path) -> Iterator[tuple[int, Iterator[Picture]]]:
    """How many image files there are, and an iterator over them."""
    try:
        if root.is_dir():
            files = sorted(_files(root))
            yield len(files), (_file(file) for file in files)
        else:
            with tarfile.open(root) as archive:
                members = [each for each in archive if each.isfile() and _is_image(each.name)]
                yield len(members), (_member(archive, member) for member in members)
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise BadSpec(f"the images in {root} cannot be read ({error}): get them anew") from error


def _file(file: Path) -> Picture:
    return Picture(file.parts[-3], file.parts[-2], str(file), file.read_bytes)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Picture:
    """A file of an archive: read straight from it, so nothing in it can be written anywhere."""
    split, label, _ = PurePosixPath(member.name).parts[-3:]

    def read() -> bytes:
        opened = archive.extractfile(member)
        return opened.read() if opened else b""

    return Picture(split, label, member.name, read)


def _files(root: Path) -> Iterator[Path]:
    return (
        file
        for split in SPLITS
        for file in (root / split).glob("*/*")
        if _is_image(file.relative_to(root).as_posix())
    )


def _is_image(name: str) -> bool:
    """Whether a file name ends in split/class/image.extension; hidden files are not meant."""
    path = PurePosixPath(name)
    return (
        path.suffix.lower() in EXTENSIONS
        and len(path.parts) >= 3
        and path.parts[-3] in SPLITS
        and not path.name.startswith(".")
    )


def _decode(picture: Picture, content: bytes, size: int | None) -> Tensor:
    """uint8 [3, H, W]."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            rgb = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadSpec(
            f"{picture.name} cannot be decoded as an image ({error}): replace or remove it"
        ) from error
    if size is not None:
        rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()


def _refuse_mixed_sizes(pictures: list[Picture], images: list[Tensor]) -> None:
    for picture, image in zip(pictures, images, strict=True):
        if image.shape != images[0].shape:
            (_, height, width), (_, first_height, first_width) = image.shape, images[0].shape
            raise BadSpec(
                f"{picture.name} has {width}x{height} pixels and {pictures[0].name} "
                f"{first_width}x{first_height}: set dataset.options.size to resize all to one size"
            )
