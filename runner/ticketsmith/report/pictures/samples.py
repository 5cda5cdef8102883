"""Some test images with what the network said, the wrong ones first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.report.findings import Row
from ticketsmith.report.pictures.axes import SIZE
from ticketsmith.report.pictures.drawing import Picture, picture
from ticketsmith.report.pictures.palette import ARM_COLOURS, GATE, INK
from ticketsmith.report.runs import Run
from ticketsmith.report.words import plural

COLUMNS = 8
MOST = 16
"""Pictures of each kind."""
_HEADING, _CAPTION, _CELL, _GAP = 0.6, 0.25, 1.3, 0.05
"""Heights in units of a cell's width: a heading, a caption, a picture with its caption; space around it."""


def samples(run: Run, table: Sequence[Row], prefix: str) -> Picture | None:
    """Two grids: images the best ticket gets wrong, and images it gets right."""
    del table
    if run.samples is None:
        return None
    arrays = _read(run.samples)
    images, labels, said = arrays["images"], arrays["labels"], arrays["predictions"]
    wrong = np.flatnonzero(labels != said)[:MOST]
    right = np.flatnonzero(labels == said)[:MOST]
    kinds = [(name, rows) for name, rows in (("Wrong", wrong), ("Right", right)) if len(rows)]
    if not kinds:
        return None
    figure = _grid(kinds, images, labels, said)
    return picture(
        f"{prefix}samples",
        "Wrong and right",
        f"{plural(len(wrong), 'test image')} judged wrongly ("
        + ", ".join(f"{labels[n]} taken for {said[n]}" for n in wrong)
        + f") and {len(right)} judged rightly.",
        f"The first test images that {run.samples_of} gets wrong and right: above each its class number, "
        "and what was said where that is another.",
        figure,
    )


def _grid(
    kinds: Sequence[tuple[str, NDArray[Any]]],
    images: NDArray[Any],
    labels: NDArray[Any],
    said: NDArray[Any],
) -> Figure:
    """All pictures in one pair of axes, whose unit is a cell: a pair for each would draw ten times as long."""
    depth = sum(_HEADING + _CELL * -(-len(rows) // COLUMNS) for _, rows in kinds)
    figure = Figure(figsize=(SIZE[0], SIZE[0] * depth / COLUMNS))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    top = 0.0
    for name, rows in kinds:
        colour = GATE if name == "Wrong" else ARM_COLOURS["random"]
        axes.text(_GAP, top + 0.3, name, fontsize=11, color=colour, fontweight="bold", va="center")
        top += _HEADING
        for number, row in enumerate(rows):
            x, y = number % COLUMNS + _GAP, top + _CELL * (number // COLUMNS) + _CAPTION
            text = f"{labels[row]}" if name == "Right" else f"{labels[row]}, said {said[row]}"
            axes.text(x, y - 0.06, text, fontsize=8, color=INK)
            axes.imshow(
                _pixels(images[row]),
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="nearest",
                extent=(x, x + 1 - 2 * _GAP, y + 1 - 2 * _GAP, y),
            )
        top += _CELL * -(-len(rows) // COLUMNS)
    axes.set(xlim=(0, COLUMNS), ylim=(depth, 0), aspect="auto")
    return figure


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in ("images", "labels", "predictions")}
    except (OSError, SafetensorError) as error:
        raise BadSpec(
            f"{path} cannot be read as sample pictures ({error}): remove its folder to have the round done again"
        ) from error


def _pixels(image: NDArray[Any]) -> NDArray[Any]:
    """[C, H, W] as matplotlib wants it: [H, W] for grey, [H, W, 3] for colour."""
    return image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
