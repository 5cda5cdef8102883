"""image_folder: somebody's own images, at train/<class>, test/<class> and, if they like, val/<class>."""

from functools import partial
from pathlib import Path

from ticketsmith.engine.data import cache, pictures
from ticketsmith.engine.data.base import Raw, Tell
from ticketsmith.engine.data.options import Options
from ticketsmith.engine.data.sources import Reader, local
from ticketsmith.experiment.problems import BadSpec

EXPECTED = "folders train/<class> and test/<class> of .jpg or .png images"


class ImageFolderOptions(Options):
    """Options of image_folder; a tenth of the training images is held out where there is no val folder."""


def find(uri: str | None) -> Reader:
    """The reader of the folder, or of an archive of one; BadSpec if `uri` is neither."""
    if uri is None:
        raise BadSpec(f"dataset.uri is missing: image_folder needs one, with {EXPECTED}")
    root = local(uri)
    if not pictures.holds_splits(root):
        raise BadSpec(f"dataset.uri {uri!r} does not hold an image folder: it needs {EXPECTED}")
    return partial(_read, root)


def _read(root: Path, options: Options, tell: Tell) -> Raw:
    def make() -> Raw:
        return pictures.decoded(root, options.size, f"images of {root.name}", tell)

    return cache.cached("image_folder", [*pictures.identity(root), options.size], make)
