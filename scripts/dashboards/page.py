"""The tables of docs/dashboards.md: every panel with its id, what it shows, and the alerts that lead to it."""

from collections.abc import Mapping

from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.panel_ids import ALERT_PANELS


def filled(page: str, dashboards: Mapping[str, Dashboard]) -> str:
    """The page with the table of each dashboard between its marks, `<!-- panels: NAME -->` and `<!-- end -->`."""
    for name, built in dashboards.items():
        head, begin, rest = page.partition(f"<!-- panels: {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no place for the panels of {name}: add its marks")
        page = f"{head}{begin}{table(built)}{end}{tail}"
    return page


def table(built: Dashboard) -> str:
    """A line for each panel, a bold one for each heading."""
    lines = ["", "| id | panel | what it shows | alerts |", "| ---: | --- | --- | --- |"]
    for panel in built.panels or ():
        if isinstance(panel, dashboard.RowPanel):
            lines.append(f"| | **{panel.title}** | | |")
        else:
            alerts = [
                a for a, leads_to in ALERT_PANELS.items() if leads_to == (built.uid, panel.id_val)
            ]
            linked = ", ".join(f"[{alert}](runbooks/{alert}.md)" for alert in alerts)
            lines.append(f"| {panel.id_val} | {panel.title} | {panel.description} | {linked} |")
    return "\n".join([*lines, "", ""])
