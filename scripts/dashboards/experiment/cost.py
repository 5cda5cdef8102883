"""What an experiment costs, and what it gains."""

from dashboards.panel_ids import ExperimentPanel
from dashboards.panels import PLAIN, SECONDS, About, Panel, bars, lines
from dashboards.queries import Query, gauge


def cost() -> list[tuple[Panel, int]]:
    """What it costs, and how fast its best ticket is."""
    cost = gauge("cost", "currency")
    ratio = gauge("budget_ratio", "namespace")
    against = lines(
        About(
            ExperimentPanel.COST_AND_BUDGET,
            "Cost against budget",
            "Cost of all attempts that ended, and limits.maxCost. The budget is drawn from the first cost on.",
            PLAIN,
            2,
            "no price",
        ),
        [
            Query(cost, "cost ({{currency}})"),
            Query(f"{cost} / on () group_left () ({ratio} > 0)", "budget ({{currency}})"),
        ],
    )
    gpus = lines(
        About(
            ExperimentPanel.GPU_SECONDS,
            "GPU time",
            "GPUs times seconds of all attempts that ended, failed ones included. 0 on CPUs.",
            SECONDS,
        ),
        [Query(gauge("gpu_seconds"), "GPU time")],
        {"GPU time": "purple"},
    )
    throughput = bars(
        About(
            ExperimentPanel.THROUGHPUT,
            "Throughput of the best ticket, by batch size",
            "Measured in the benchmark round: batch size over the median time of a pass, on the fastest execution "
            "path that was timed.",
            "suffix: samples/s",
            0,
            "not timed yet",
        ),
        Query(
            f"sort({gauge('throughput_samples_per_second', 'batch_size')})",
            "batch {{batch_size}}",
        ),
    )
    return [(against, 8), (gpus, 8), (throughput, 8)]
