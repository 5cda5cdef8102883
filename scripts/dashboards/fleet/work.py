"""Experiments and rounds of the fleet."""

from typing import Final

from dashboards import links
from dashboards.panel_ids import FleetPanel
from dashboards.panels import COUNT, PER_HOUR, PLAIN, RATIO, About, Column, Panel, rows, stacked
from dashboards.queries import FLEET, Query, latest, per_hour, total

_PHASES: Final = {
    "Running": "blue",
    "Pending": "yellow",
    "Suspended": "purple",
    "Succeeded": "green",
    "Failed": "red",
}
_OUTCOMES: Final = {
    "done": "green",
    "interrupted": "blue",
    "stopped": "purple",
    "retried": "orange",
    "failed": "red",
}
_STATES: Final = {"running": "blue", "pending": "yellow"}


def experiments() -> list[tuple[Panel, int]]:
    """How many there are, and which cost most."""
    phases = stacked(
        About(
            FleetPanel.PHASES,
            "Experiments by phase",
            "Experiments that exist, finished ones included until they are deleted.",
            COUNT,
            0,
        ),
        [Query(total("ticketsmith_experiments", "phase"), "{{phase}}")],
        _PHASES,
    )
    cost = Column("Value #A", "Cost", PLAIN, 2)
    dearest = rows(
        About(
            FleetPanel.DEAREST,
            "Five dearest experiments",
            "Cost of all attempts that ended, of experiments that exist. A click on a name opens its dashboard.",
            PLAIN,
        ),
        {
            "A": Query(_dearest()),
            "B": _of_dearest("ticketsmith_experiment_progress_ratio"),
            "C": _of_dearest("ticketsmith_experiment_budget_ratio"),
            "D": _of_dearest("ticketsmith_experiment_best_sparsity_ratio"),
        },
        [
            Column("namespace", "Namespace"),
            Column("name", "Experiment", link=links.of_row()),
            cost,
            Column("currency", "Currency"),
            Column("Value #B", "Progress", RATIO, 0),
            Column("Value #C", "Of its budget", RATIO, 0),
            Column("Value #D", "Best sparsity", RATIO, 1),
        ],
        sort_by=cost,
        descending=True,
    )
    return [(phases, 10), (dearest, 14)]


def _dearest() -> str:
    costs = latest("ticketsmith_experiment_cost", "namespace, name, currency", FLEET)
    return f"topk(5, {costs})"


def _of_dearest(gauge: str) -> Query:
    """A gauge of the five dearest alone."""
    own = latest(gauge, "namespace, name", FLEET)
    return Query(f"{own} and on (namespace, name) {_dearest()}")


def rounds() -> list[tuple[Panel, int]]:
    """Attempts that ended, and those that have not."""
    ended = stacked(
        About(
            FleetPanel.ROUNDS_PER_HOUR,
            "Attempts ended per hour, by outcome",
            "done: the round answered. failed: for good. retried: failed, and tried again. interrupted: lost through "
            "no fault of its own, and started again. stopped: told to end. A mean over the time chosen above.",
            PER_HOUR,
        ),
        [Query(per_hour("ticketsmith_rounds_total", "outcome"), "{{outcome}}")],
        _OUTCOMES,
    )
    in_progress = stacked(
        About(
            FleetPanel.IN_PROGRESS,
            "Rounds in progress",
            "running: the container runs. pending: the Job is there, and its Pod waits for a place, an image or a "
            "quota.",
            COUNT,
            0,
        ),
        [Query(total("ticketsmith_rounds_in_progress", "state"), "{{state}}")],
        _STATES,
    )
    return [(ended, 12), (in_progress, 12)]
