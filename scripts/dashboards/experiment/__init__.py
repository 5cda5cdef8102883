"""The dashboard *Experiment*: one of them, from its curve to its budget."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import layout, variables
from dashboards.experiment import cost, curve, now, progress
from dashboards.panel_ids import EXPERIMENT_UID


def dashboard() -> Dashboard:
    """The whole dashboard."""
    empty = layout.dashboard(
        EXPERIMENT_UID,
        "TicketSmith / Experiment",
        "One pruning experiment: how far it got, how far the network can be pruned, and what that costs.",
        "now-6h",
    )
    empty.variables(
        [
            variables.datasource(),
            variables.namespace(),
            variables.experiment(),
            variables.window(),
        ]
    )
    layout.place(
        empty,
        EXPERIMENT_UID,
        [
            ("Now", [(5, now.state() + now.limits()), (4, now.findings())]),
            ("Quality against sparsity", [(9, curve.quality()), (7, curve.levels())]),
            ("Progress", [(8, progress.progress()), (8, progress.rounds())]),
            ("Cost and speed", [(8, cost.cost())]),
        ],
    )
    return empty
