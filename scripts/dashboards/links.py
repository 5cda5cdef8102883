"""Where a panel leads: the runbooks of the alerts that lead to it, and the other dashboard."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models import dashboard

from dashboards.panel_ids import ALERT_PANELS, EXPERIMENT_UID, FLEET_UID

DOCS: Final = "https://ticketsmith.dev/docs/"
_SAME_TIME: Final = "${datasource:queryparam}&${__url_time_range}"


def runbooks(uid: str, panel: int) -> list[dashboard.DashboardLink]:
    """A link to the runbook of every alert that names this panel."""
    return [
        DashboardLink(f"Runbook: {alert}")
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"{DOCS}runbooks/{alert}/")
        .target_blank(True)
        .build()
        for alert, leads_to in ALERT_PANELS.items()
        if leads_to == (uid, panel)
    ]


def of_row() -> DashboardLink:
    """From a row of a table with the columns `namespace` and `name` to that experiment's dashboard."""
    chosen = "var-namespace=${__data.fields.namespace}&var-experiment=${__data.fields.name}"
    return DashboardLink("Open the experiment").url(f"/d/{EXPERIMENT_UID}?{chosen}&{_SAME_TIME}")


def at_the_top(uid: str) -> list[DashboardLink]:
    """The links in a dashboard's head: to the other one, and to the page that explains both."""
    other, name = (EXPERIMENT_UID, "Experiment") if uid == FLEET_UID else (FLEET_UID, "Fleet")
    to_other = DashboardLink(name).url(f"/d/{other}?{_SAME_TIME}").tooltip(f"The dashboard {name}")
    to_docs = DashboardLink("What the panels mean").url(f"{DOCS}dashboards/").target_blank(True)
    return [
        link.type(dashboard.DashboardLinkType.LINK).icon(icon)
        for link, icon in ((to_other, "dashboard"), (to_docs, "doc"))
    ]
