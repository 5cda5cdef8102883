"""How far the network can be pruned: quality against sparsity."""

from typing import Final

from dashboards.panel_ids import ExperimentPanel
from dashboards.panels import PLAIN, RATIO, About, Column, Panel, curve, rows
from dashboards.queries import Query, gauge

_ARMS: Final = {
    "ticket": 'arm=~"dense|ticket"',
    "reinit": 'arm=~"dense|reinit"',
    "random": 'arm=~"dense|random"',
}
"""Each arm's curve begins at the dense network."""
_COLOURS: Final = {"ticket": "blue", "reinit": "orange", "random": "purple"}
_SPARSITY: Final = "sparsity"


def _sparsity() -> Query:
    return Query(gauge("level_sparsity_ratio", "level"), _SPARSITY)


def _by_level(figure: str) -> dict[str, Query]:
    """Sparsity, and that figure for each arm, by level."""
    arms = {
        arm.upper(): Query(gauge(figure, "level", chosen), arm) for arm, chosen in _ARMS.items()
    }
    return {"SPARSITY": _sparsity()} | arms


def quality() -> list[tuple[Panel, int]]:
    """Quality and drop over sparsity."""
    measured = curve(
        About(
            ExperimentPanel.QUALITY_BY_SPARSITY,
            "Quality by sparsity",
            "On the test set, in the metric that tickets are ranked by (accuracy, or loss): means over the seeds "
            "that are done. reinit is the ticket's mask with new weights, random a random mask with as many weights.",
            PLAIN,
            4,
            "no level is done",
        ),
        _SPARSITY,
        RATIO,
        _by_level("level_quality"),
        _COLOURS,
    )
    drop = curve(
        About(
            ExperimentPanel.DROP_BY_SPARSITY,
            "Drop by sparsity",
            "Quality lost on the test set against the same seed's dense network, in the metric's own unit: 0.02 of "
            "accuracy is two points. Means over the seeds that are done; negative is a gain.",
            PLAIN,
            4,
            "no level is done",
        ),
        _SPARSITY,
        RATIO,
        _by_level("level_drop"),
        _COLOURS,
    )
    return [(measured, 12), (drop, 12)]


def levels() -> list[tuple[Panel, int]]:
    """The same as a table."""
    sparsity = Column("Value #SPARSITY", "Sparsity", RATIO, 1)
    queries = {"SPARSITY": _sparsity()}
    columns = [Column("level", "Level"), sparsity]
    for figure, head in (("level_quality", "quality"), ("level_drop", "drop")):
        for arm, chosen in _ARMS.items():
            ref = f"{arm}_{head}".upper()
            queries[ref] = Query(gauge(figure, "level", chosen))
            columns.append(Column(f"Value #{ref}", f"{arm.capitalize()}: {head}", PLAIN, 4))
    table = rows(
        About(
            ExperimentPanel.LEVELS,
            "Levels",
            "The same figures as numbers. An experiment that ended over an hour ago is no longer shown level by "
            "level: its report is.",
            PLAIN,
            no_value="no level is done",
        ),
        queries,
        columns,
        sort_by=sparsity,
    )
    return [(table, 24)]
