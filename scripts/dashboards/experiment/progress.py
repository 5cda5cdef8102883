"""How an experiment comes along, and what it waits for."""

from typing import Final

from dashboards.panel_ids import ExperimentPanel
from dashboards.panels import COUNT, RATIO, SECONDS, About, Panel, lines, stacked
from dashboards.queries import Query, gauge, time_until_deadline, time_until_done, total

_NAMESPACE: Final = 'namespace="$namespace"'


def progress() -> list[tuple[Panel, int]]:
    """How it came this far, and how long it will go on."""
    used = lines(
        About(
            ExperimentPanel.USED_UP,
            "Progress, and what is used of the limits",
            "Where time, money or GPU hours rise faster than progress, the experiment will not get to its end within "
            "its limits. Only limits that are set are drawn.",
            RATIO,
        ),
        [
            Query(gauge("progress_ratio"), "rounds settled"),
            Query(gauge("deadline_ratio"), "deadline used"),
            Query(gauge("budget_ratio"), "budget spent"),
            Query(gauge("gpu_budget_ratio"), "GPU hours used"),
        ],
        {
            "rounds settled": "green",
            "deadline used": "orange",
            "budget spent": "purple",
            "GPU hours used": "blue",
        },
        [(1.0, "red")],
    )
    left = lines(
        About(
            ExperimentPanel.TIME_LEFT_OVER_TIME,
            "Time left",
            "Until all rounds are settled, at the pace of the time chosen above; and until the deadline. Shown while "
            "the experiment runs.",
            SECONDS,
            no_value="no progress now",
        ),
        [
            Query(time_until_done(), "until done, at this pace"),
            Query(time_until_deadline(), "until the deadline"),
        ],
        {"until done, at this pace": "green", "until the deadline": "orange"},
    )
    return [(used, 12), (left, 12)]


def rounds() -> list[tuple[Panel, int]]:
    """What waits, and what runs beside it."""
    wait = gauge("round_pending_seconds")
    no_wait = f"0 * {gauge('phase')}"
    pending = lines(
        About(
            ExperimentPanel.ROUND_PENDING,
            "Longest wait for a Pod",
            "How long the round that waits longest for its container has waited; 0 if none waits. Ask kubectl "
            "describe pod: the cluster is full, a node selector matches nothing, an image cannot be pulled. At the "
            "dashed line, half an hour, an alert is raised unless the chart's thresholds say otherwise.",
            SECONDS,
        ),
        [Query(f"{wait} or {no_wait}", "longest wait")],
        {"longest wait": "yellow"},
        [(1800, "red")],
    )
    in_progress = stacked(
        About(
            ExperimentPanel.ROUNDS_IN_PROGRESS,
            "Rounds in progress in its namespace",
            "Of all experiments in the namespace: they compete for the same quota.",
            COUNT,
            0,
        ),
        [
            Query(
                total("ticketsmith_rounds_in_progress", "state", _NAMESPACE),
                "{{state}}",
            )
        ],
        {"running": "blue", "pending": "yellow"},
    )
    return [(pending, 12), (in_progress, 12)]
