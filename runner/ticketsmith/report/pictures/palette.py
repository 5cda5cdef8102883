"""Colours and marks, the same in every picture. Told apart without colour too: each arm has its own mark.

The hues are Okabe and Ito's, which people with any common colour blindness can tell apart. On the page each stands
as a CSS variable (see templates/style.css), so that pictures follow the reader's light or dark scheme.
"""

from typing import Any, Final

INK: Final = "#1f2328"
MUTED: Final = "#656d77"
GRID: Final = "#dfe3e8"
PAPER: Final = "#fefefe"
ARM_COLOURS: Final = {
    "dense": "#3d444d",
    "ticket": "#0072b2",
    "reinit": "#d55e00",
    "random": "#157a57",
}
GATE: Final = "#b3403a"
DEPTHS: Final = ("#62a8d8", "#1f6fb5", "#7b57b2", "#b8408c")
"""Levels along one arm, shallow to deep."""
ARM_MARKS: Final = {"dense": "D", "ticket": "o", "reinit": "s", "random": "^"}
RUN_COLOURS: Final = (
    ARM_COLOURS["ticket"],
    ARM_COLOURS["reinit"],
    ARM_COLOURS["random"],
    DEPTHS[2],
    DEPTHS[3],
    DEPTHS[0],
)
RUN_MARKS: Final = "osD^vP"
RUN_LINES: Final = ("-", "--")
"""Several runs in one picture, in their order."""

VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    GATE: "--gate",
    **{colour: f"--{arm}" for arm, colour in ARM_COLOURS.items()},
    **{colour: f"--depth{number}" for number, colour in enumerate(DEPTHS)},
}
"""Every colour that changes with the scheme, and its CSS variable."""

STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 10,
    "axes.labelsize": 10.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "ticketsmith",
    "savefig.facecolor": "none",
}
"""Settings of matplotlib, applied only while our figures are drawn."""
