"""How the operator fares."""

from dashboards.panel_ids import FleetPanel
from dashboards.panels import COUNT, SECONDS, About, Panel, lines
from dashboards.queries import Query, grown, per_second, quantile


def pace() -> list[tuple[Panel, int]]:
    """How fast the operator is, and what it asks of the API server."""
    gap = lines(
        About(
            FleetPanel.SCHEDULING_GAP,
            "Scheduling gap",
            "From the moment the operator saw a round's answer to the next Job it created. The dashed line is the "
            "goal: 250 ms at the 99th percentile with 1,000 experiments in flight.",
            SECONDS,
            no_value="no round ended",
        ),
        [
            Query(quantile(0.5, "ticketsmith_scheduling_gap_seconds"), "p50"),
            Query(quantile(0.99, "ticketsmith_scheduling_gap_seconds"), "p99"),
        ],
        {"p50": "blue", "p99": "orange"},
        [(0.25, "red")],
    )
    queue = lines(
        About(
            FleetPanel.WORKQUEUE,
            "Experiments waiting for a worker",
            "Depth of the operator's queue. Above zero for minutes: it does not keep up, or the API server is slow.",
            COUNT,
            0,
        ),
        [Query("max by (job) (ticketsmith_workqueue_depth)", "{{job}}")],
    )
    writes = lines(
        About(
            FleetPanel.API_WRITES,
            "Writes to the API server",
            "Writes a second that the API server carried out. A round costs about three: its Job, a status, an "
            "Event.",
            "wps",
        ),
        [
            Query(
                per_second(
                    "ticketsmith_api_writes_total", "verb, resource", "", "$__rate_interval"
                ),
                "{{verb}} {{resource}}",
            )
        ],
    )
    return [(gap, 8), (queue, 8), (writes, 8)]


def troubles() -> list[tuple[Panel, int]]:
    """What goes wrong."""
    errors = lines(
        About(
            FleetPanel.RECONCILE_ERRORS,
            "Reconcile errors, by kind",
            "Looks at an experiment that failed within the time chosen above; each is taken again. conflict is "
            "harmless in small numbers, refused means rights or quotas, unreachable the API server, bug a fault of "
            "the operator.",
            COUNT,
        ),
        [Query(grown("ticketsmith_reconcile_errors_total", "kind", "", "$window"), "{{kind}}")],
        {"conflict": "blue", "refused": "orange", "unreachable": "purple", "bug": "red"},
    )
    unanswered = lines(
        About(
            FleetPanel.ANSWERS_MISSING,
            "Answers missing, by namespace",
            "Attempts within the time chosen above whose container ended well but left no answer that can be read.",
            COUNT,
        ),
        [
            Query(
                grown("ticketsmith_answers_missing_total", "namespace", over="$window"),
                "{{namespace}}",
            )
        ],
    )
    return [(errors, 12), (unanswered, 12)]
