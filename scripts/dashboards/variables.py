"""What is chosen at the head of a dashboard."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    DatasourceVariable,
    IntervalVariable,
    QueryVariable,
)
from grafana_foundation_sdk.models import dashboard

DATASOURCE: Final = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
WINDOWS: Final = ("5m", "15m", "1h", "6h", "1d", "7d")


def datasource() -> DatasourceVariable:
    """Which Prometheus is asked."""
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def namespaces() -> QueryVariable:
    """Namespaces of the fleet, all of them at first."""
    every = dashboard.VariableOption(selected=True, text="All", value="$__all")
    return (
        _labels("namespace", "Namespace", "label_values(ticketsmith_experiments, namespace)")
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )


def namespace() -> QueryVariable:
    """The namespace of one experiment."""
    query = "label_values(ticketsmith_experiment_phase, namespace)"
    return _labels("namespace", "Namespace", query)


def experiment() -> QueryVariable:
    """One experiment of that namespace."""
    query = 'label_values(ticketsmith_experiment_phase{namespace="$namespace"}, name)'
    return _labels("experiment", "Experiment", query)


def window() -> IntervalVariable:
    """Over how long what happens rarely is averaged."""
    return (
        IntervalVariable("window")
        .label("Averaged over")
        .description(
            "Rounds end rarely: counts and rates are means over so long before each point."
        )
        .values(",".join(WINDOWS))
        .options(
            [dashboard.VariableOption(selected=one == "1h", text=one, value=one) for one in WINDOWS]
        )
        .current(dashboard.VariableOption(selected=True, text="1h", value="1h"))
    )


def _labels(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
