"""The rules that the chart makes of its values."""

import json
from typing import Any

import rendered


def made(**thresholds: Any) -> dict[str, Any]:
    """Groups of rules, as Prometheus reads them, with these thresholds instead of the chart's own."""
    values = {"metrics": {"prometheusRule": {"enabled": True, "thresholds": thresholds}}}
    given = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    return dict(rendered.find(rendered.documents(*given), "PrometheusRule")["spec"])
