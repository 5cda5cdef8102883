"""What the fleet costs: money and GPUs."""

from typing import Final

from dashboards.panel_ids import FleetPanel
from dashboards.panels import PER_HOUR, PLAIN, RATIO, SECONDS, About, Panel, bars, lines, stacked
from dashboards.queries import Query, grown, per_hour, per_second, share, total

_MONEY_BY_PLACE: Final = "namespace, accelerator, capacity, currency"
_PLACE: Final = "{{namespace}} · {{accelerator}} {{capacity}}"


def spending() -> list[tuple[Panel, int]]:
    """What is spent and wasted an hour."""
    rate = stacked(
        About(
            FleetPanel.COST_RATE,
            "Cost per hour, by namespace and accelerator",
            "What attempts cost that ended, as a mean over the time chosen above. An attempt is counted when it "
            "ends: choose a time that is longer than a round takes.",
            PER_HOUR,
            2,
            "no price",
        ),
        [
            Query(
                per_hour("ticketsmith_cost_total", _MONEY_BY_PLACE),
                f"{_PLACE} ({{{{currency}}}})",
            )
        ],
    )
    waste = lines(
        About(
            FleetPanel.WASTE_OVER_TIME,
            "Wasted share over time",
            "The part that went into attempts that failed: of money, and of GPU time. A mean over the time chosen "
            "above; no value while nothing ended.",
            RATIO,
            1,
            "nothing spent",
        ),
        [
            Query(
                share(
                    per_second("ticketsmith_wasted_cost_total", "currency"),
                    per_second("ticketsmith_cost_total", "currency"),
                ),
                "of money ({{currency}})",
            ),
            Query(
                share(
                    per_second("ticketsmith_wasted_gpu_seconds_total", ""),
                    per_second("ticketsmith_gpu_seconds_total", ""),
                ),
                "of GPU time",
            ),
        ],
        {"of GPU time": "purple"},
    )
    return [(rate, 14), (waste, 10)]


def totals() -> list[tuple[Panel, int]]:
    """What was spent in all."""
    by_place = bars(
        About(
            FleetPanel.COST_BY_PLACE,
            "Spent in the time shown, by namespace and accelerator",
            "What attempts that ended in the time shown cost, failed ones included, experiments that are deleted by "
            "now included.",
            PLAIN,
            2,
            "no price",
        ),
        Query(
            f"sort_desc({grown('ticketsmith_cost_total', _MONEY_BY_PLACE)})",
            f"{_PLACE} ({{{{currency}}}})",
        ),
    )
    by_namespace = bars(
        About(
            FleetPanel.COST_BY_NAMESPACE,
            "Cost of the experiments that exist, by namespace",
            "From their beginning, whatever time is shown, as their statuses have it: restarts of the operator and "
            "gaps in what Prometheus read do not matter.",
            PLAIN,
            2,
            "no price",
        ),
        Query(
            f"sort_desc({total('ticketsmith_experiment_cost', 'namespace, currency', own='name')})",
            "{{namespace}} ({{currency}})",
        ),
    )
    return [(by_place, 14), (by_namespace, 10)]


def gpus() -> list[tuple[Panel, int]]:
    """How many GPUs are used, and for how long."""
    in_use = stacked(
        About(
            FleetPanel.GPUS_IN_USE,
            "GPUs in use, by accelerator",
            "GPU-seconds per second: a mean over the time chosen above. An attempt is counted when it ends: choose a "
            "time that is longer than a round takes.",
            PLAIN,
            2,
        ),
        [
            Query(
                per_second("ticketsmith_gpu_seconds_total", "accelerator, capacity"),
                "{{accelerator}} {{capacity}}",
            )
        ],
    )
    used = bars(
        About(
            FleetPanel.GPU_SECONDS,
            "GPU time in the time shown, by namespace and accelerator",
            "GPUs times seconds of attempts that ended in the time shown, failed ones included.",
            SECONDS,
        ),
        Query(
            f"sort_desc({grown('ticketsmith_gpu_seconds_total', 'namespace, accelerator, capacity')})",
            _PLACE,
        ),
    )
    return [(in_use, 14), (used, 10)]
