"""The head of Experiment: where it stands and what it found."""

from typing import Final

from grafana_foundation_sdk.models.common import BigValueTextMode

from dashboards.panel_ids import ExperimentPanel
from dashboards.panels import COUNT, PLAIN, RATIO, SECONDS, TIMES, About, Panel, dials, number
from dashboards.queries import Query, gauge, time_until_done

_NEARLY: Final = [(0.8, "yellow"), (1.0, "red")]


def state() -> list[tuple[Panel, int]]:
    """Its phase and its progress."""
    phase = number(
        About(
            ExperimentPanel.PHASE,
            "Phase",
            "Pending, Running, Suspended, Succeeded or Failed. Why: kubectl describe pex NAME.",
            COUNT,
            no_value="not there",
        ),
        Query(gauge("phase", "phase"), "{{phase}}"),
        shows=BigValueTextMode.NAME,
    )
    progress = dials(
        About(
            ExperimentPanel.PROGRESS,
            "Progress",
            "Rounds settled, of those planned. An experiment that ends early stays below 100%.",
            RATIO,
            0,
        ),
        [Query(gauge("progress_ratio"))],
    )
    return [(phase, 4), (progress, 4)]


def limits() -> list[tuple[Panel, int]]:
    """What is used of its limits, and how long it will take."""
    budget = dials(
        About(
            ExperimentPanel.BUDGET,
            "Of its budget",
            "Cost so far of limits.maxCost, and GPU hours so far of limits.maxGpuHours. A round that is predicted not "
            "to fit is not started; those that run are let finish, so it can pass 100% by a little.",
            RATIO,
            0,
            "no budget",
        ),
        [
            Query(gauge("budget_ratio"), "cost"),
            Query(gauge("gpu_budget_ratio"), "GPU hours"),
        ],
        _NEARLY,
    )
    deadline = dials(
        About(
            ExperimentPanel.DEADLINE,
            "Of its deadline",
            "Time it has run, of limits.deadlineSeconds. It stands still while the experiment is suspended, and "
            "after its end.",
            RATIO,
            0,
            "no deadline",
        ),
        [Query(gauge("deadline_ratio"))],
        _NEARLY,
    )
    left = number(
        About(
            ExperimentPanel.TIME_LEFT,
            "Time left at this pace",
            "Rounds that are left, at the pace of the time chosen above. Rounds differ in length, and a failed gate "
            "ends a branch early: a guess, no promise.",
            SECONDS,
            no_value="no progress now",
        ),
        Query(time_until_done()),
    )
    return [(budget, 7), (deadline, 4), (left, 5)]


def findings() -> list[tuple[Panel, int]]:
    """What it found so far."""
    best = number(
        About(
            ExperimentPanel.BEST_SPARSITY,
            "Best sparsity",
            "Of the best ticket so far: the fraction of its prunable weights that are zero.",
            RATIO,
            1,
            "no ticket yet",
        ),
        Query(gauge("best_sparsity_ratio")),
    )
    drop = number(
        About(
            ExperimentPanel.DROP,
            "Drop of the best ticket",
            "Quality it lost on the test set against its seed's dense network, in the metric's own unit: 0.02 of "
            "accuracy is two points. Negative is a gain.",
            PLAIN,
            4,
            "no ticket yet",
        ),
        Query(gauge("metric_drop")),
    )
    speedup = number(
        About(
            ExperimentPanel.SPEEDUP,
            "Measured speedup",
            "Of the best ticket over its dense network, at the smallest batch. Shown only where the interval of the "
            "measurement lies above 1: zeros stored densely are no faster.",
            TIMES,
            2,
            "none measured",
        ),
        Query(gauge("speedup_ratio")),
    )
    cost = number(
        About(
            ExperimentPanel.COST,
            "Cost so far",
            "Cost of all attempts that ended, failed ones included.",
            PLAIN,
            2,
            "no price",
        ),
        Query(gauge("cost", "currency"), "{{currency}}"),
        shows=BigValueTextMode.VALUE_AND_NAME,
    )
    gate = number(
        About(
            ExperimentPanel.FIRST_LEVEL_GATE,
            "Failed at the first level",
            "Seeds whose very first ticket failed a gate. Then the gate is too strict, the first step too large, or "
            "the training too short.",
            COUNT,
            0,
            "not judged",
        ),
        Query(gauge("first_level_gate_failures")),
        [(1, "red")],
    )
    return [(best, 5), (drop, 5), (speedup, 5), (cost, 5), (gate, 4)]
