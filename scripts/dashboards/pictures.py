"""Pictures of the dashboards for the docs: their own queries, answered in a real run, drawn without Grafana.

    PYTHONPATH=scripts:tests/cluster:tests/dashboards python -m dashboards.pictures

It takes six minutes, nearly all of them waiting.
"""

import json
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt
from fleet_story import CURVE, LANGUAGE, VISION, FleetStory, document
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from misbehaviour import Exit
from PIL import Image
from prometheus import Prometheus

from dashboards.__main__ import FOLDER
from dashboards.drawing import draw
from dashboards.grafana import Document, Value, View, choose_all
from dashboards.shown import FAINT, INK, Shown

_ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = _ROOT / "docs" / "pictures" / "dashboards"
CELL: Final = (0.62, 0.34)
"""Inches of a column and of a row of the grid."""
GAP: Final = 0.05
_HEAD: Final = 0.75
_DPI: Final = 100
_WINDOW: Final = "1m"
_EVERY_SECONDS: Final = 20.0
_WAVES: Final = 14
_CAPTION: Final = (
    "The dashboard's own queries, answered by Prometheus in a run of pretended rounds with made-up prices; "
    f"averaged over {_WINDOW}. Drawn with matplotlib, not by Grafana."
)


def main() -> None:
    """Run the fleet, look at it, draw both pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    shaky = {
        (f"shaky-{n:02}", "dense-s0", 1): Exit(1, "CUDA error", after=5.0) for n in range(_WAVES)
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        FleetStory(Path(folder), seconds=7.0, parallelism=1, more=shaky) as story,
    ):
        story.begin()
        _live(story)
        story.prometheus.wait_until(f"ticketsmith_experiment_speedup_ratio{{name='{CURVE}'}}", 600)
        now = time.time()
        fleet = json.loads((FOLDER / "fleet.json").read_text())
        views: dict[str, Mapping[str, Value]] = {
            "fleet": {"namespace": choose_all(fleet, "namespace")},
            "experiment": {"namespace": VISION, "experiment": CURVE},
        }
        for name, chosen in views.items():
            dashboard = json.loads((FOLDER / f"{name}.json").read_text())
            view = View(story.began, now, {"window": _WINDOW, **chosen}, scrape_seconds=1.0)
            picture(dashboard, view, story.prometheus, PICTURES / f"{name}.png")


def _live(story: FleetStory) -> None:
    """Experiments come, one after the other, as people bring them."""
    pause = threading.Event()
    for wave in range(_WAVES):
        pause.wait(_EVERY_SECONDS)
        if wave % 4 == 3:
            story.apply(LANGUAGE, document(f"shaky-{wave:02}", "t4"))
        elif wave % 2:
            story.apply(VISION, document(f"sweep-{wave:02}", "l4", seeds=[0, 1]))
        else:
            story.apply(LANGUAGE, document(f"sweep-{wave:02}", "t4", controls=["random"]))


def picture(dashboard: Document, view: View, prometheus: Prometheus, path: Path) -> None:
    """The whole dashboard, panels where its grid has them."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    width, height = 24 * CELL[0], rows * CELL[1] + _HEAD
    figure = plt.figure(figsize=(width, height), dpi=_DPI, facecolor="#f4f5f5")
    figure.text(
        0.2 / width,
        1 - 0.28 / height,
        dashboard["title"],
        size=17,
        weight="bold",
        color=INK,
        va="center",
    )
    figure.text(0.2 / width, 1 - 0.57 / height, _CAPTION, size=9.5, color=FAINT, va="center")
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        box = (
            at["x"] * CELL[0] + GAP,
            height - _HEAD - (at["y"] + at["h"]) * CELL[1] + GAP,
            at["w"] * CELL[0] - 2 * GAP,
            at["h"] * CELL[1] - 2 * GAP,
        )
        _panel(figure, panel, box, view, prometheus)
    figure.savefig(path)
    plt.close(figure)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def _panel(
    figure: Figure,
    panel: Mapping[str, Any],
    box: tuple[float, float, float, float],
    view: View,
    prometheus: Prometheus,
) -> None:
    """One panel in its box: left, bottom, width and height in inches."""
    width, height = figure.get_size_inches()
    x, y, w, h = box

    def part(
        left: float, bottom: float, wide: float, high: float
    ) -> tuple[float, float, float, float]:
        return left / width, bottom / height, wide / width, high / height

    if panel["type"] == "row":
        figure.text(
            *part(x + 0.1, y + h / 2, 0, 0)[:2],
            panel["title"],
            size=12,
            weight="bold",
            color=INK,
            va="center",
        )
        return
    left, bottom, wide, high = part(x, y, w, h)
    card = FancyBboxPatch(
        (left, bottom),
        wide,
        high,
        boxstyle="square,pad=0",
        fc="white",
        ec="#d8dbe0",
        lw=0.8,
        transform=figure.transFigure,
        zorder=-1,
    )
    figure.add_artist(card)
    top = y + h - 0.2
    figure.text(
        *part(x + 0.12, top, 0, 0)[:2],
        panel["title"],
        size=9.5,
        weight="bold",
        color=INK,
        va="center",
    )
    margins = (0.75, 0.62) if panel["type"] in {"timeseries", "trend"} else (0.15, 0.08)
    inner = part(x + margins[0], y + margins[1], w - margins[0] - 0.15, h - margins[1] - 0.42)
    draw(figure.add_axes(inner), Shown.of(panel, prometheus, view))


if __name__ == "__main__":
    main()
