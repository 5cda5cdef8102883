"""The dashboard *Fleet*: every experiment of the chosen namespaces, what they cost, and how the operator fares."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import layout, variables
from dashboards.fleet import money, now, operator, work
from dashboards.panel_ids import FLEET_UID


def dashboard() -> Dashboard:
    """The whole dashboard."""
    empty = layout.dashboard(
        FLEET_UID,
        "TicketSmith / Fleet",
        "Every pruning experiment: what runs, what it costs, and how the operator fares.",
        "now-24h",
    )
    empty.variables([variables.datasource(), variables.namespaces(), variables.window()])
    layout.place(
        empty,
        FLEET_UID,
        [
            ("Now", [(4, now.at_a_glance())]),
            ("Experiments and rounds", [(8, work.experiments()), (8, work.rounds())]),
            ("Money and GPUs", [(8, money.spending()), (8, money.totals()), (8, money.gpus())]),
            ("Operator", [(8, operator.pace()), (8, operator.troubles())]),
        ],
    )
    return empty
