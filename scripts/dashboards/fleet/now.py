"""The head of Fleet: how things are at this moment."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from dashboards.panel_ids import FleetPanel
from dashboards.panels import COUNT, PLAIN, RATIO, SECONDS, About, Panel, number
from dashboards.queries import Query, grown, share, total


def at_a_glance() -> list[tuple[Panel, int]]:
    """How things are now, in eight numbers."""
    operators = number(
        About(
            FleetPanel.OPERATORS,
            "Operators up",
            "Replicas of the operator whose metrics Prometheus can read, by version. 0: none answers, and nothing is "
            "decided; Jobs that run go on.",
            COUNT,
        ),
        Query("count by (version) (ticketsmith_build_info) or on () vector(0)", "{{version}}"),
        [(0, "red"), (1, "green")],
        shows=BigValueTextMode.VALUE_AND_NAME,
    )
    resync = number(
        About(
            FleetPanel.RESYNC_AGE,
            "Last resync ago",
            "Time since the operator last listed everything anew, which it does every --resync-seconds (300). After "
            "three times that it calls itself stalled. Of several replicas, the one furthest behind.",
            SECONDS,
            no_value="no operator",
        ),
        Query("max(time() - (ticketsmith_last_resync_timestamp_seconds > 0))"),
        [(600, "yellow"), (900, "red")],
    )
    running = number(
        About(
            FleetPanel.EXPERIMENTS_RUNNING,
            "Experiments running",
            "Experiments in the phase Running.",
            COUNT,
            no_value="no experiment",
        ),
        Query(total("ticketsmith_experiments", "", but='phase="Running"')),
    )
    return [
        (operators, 3),
        (resync, 3),
        (running, 3),
        (_rounds_now("running", FleetPanel.ROUNDS_RUNNING, "their containers run"), 3),
        (
            _rounds_now(
                "pending", FleetPanel.ROUNDS_PENDING, "their Jobs wait for a Pod that runs"
            ),
            3,
        ),
        (
            number(
                About(
                    FleetPanel.SPENT,
                    "Spent",
                    "What attempts that ended in the time shown cost, failed ones included, at the prices of the "
                    "price list. Nothing where no price is known.",
                    PLAIN,
                    2,
                    "no price",
                ),
                Query(grown("ticketsmith_cost_total", "currency"), "{{currency}}"),
                shows=BigValueTextMode.VALUE_AND_NAME,
            ),
            3,
        ),
        (
            number(
                About(
                    FleetPanel.WASTED,
                    "Wasted on failures",
                    "The part of what was spent that went into attempts that failed, tried again or not.",
                    PLAIN,
                    2,
                    "no price",
                ),
                Query(grown("ticketsmith_wasted_cost_total", "currency"), "{{currency}}"),
                shows=BigValueTextMode.VALUE_AND_NAME,
            ),
            3,
        ),
        (
            number(
                About(
                    FleetPanel.WASTE_SHARE,
                    "Wasted share",
                    "Money spent on attempts that failed, of all money spent in the time shown.",
                    RATIO,
                    1,
                    "nothing spent",
                ),
                Query(
                    share(
                        grown("ticketsmith_wasted_cost_total", "currency"),
                        grown("ticketsmith_cost_total", "currency"),
                    )
                ),
                [(0.05, "yellow"), (0.2, "red")],
            ),
            3,
        ),
    ]


def _rounds_now(state: str, panel: FleetPanel, meaning: str) -> Panel:
    about = About(
        panel,
        f"Rounds {state}",
        f"Rounds in progress that are {state}: {meaning}.",
        COUNT,
        no_value="no experiment",
    )
    query = total("ticketsmith_rounds_in_progress", "", but=f'state="{state}"')
    return number(about, Query(query))
