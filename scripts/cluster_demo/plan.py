"""What the demo installs and applies. Pure."""

from typing import Any

import yaml

NAMESPACE = "demo"
"""Where the experiments live."""
OPERATOR_NAMESPACE = "ticketsmith"
OPERATOR_LABEL = "app.kubernetes.io/name=ticketsmith-operator"
PORT = 8080
ALERTS = (
    "--show-only=templates/prometheusrule.yaml",
    "--set=metrics.prometheusRule.enabled=true",
    "--api-versions=monitoring.coreos.com/v1/PrometheusRule",
)
"""What has helm template print the alerts, though nothing here serves their kind."""
CLAIM = "artifacts"
EXAMPLES = ("quickstart.yaml", "digits-iterative.yaml", "digits-one-shot.yaml")
ONE_THREAD = {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}}
"""Rounds of three experiments share the machine: with a thread for every core each, they would wait for one another."""
CURRENCY = "USD"
HOURLY = "0.05"
"""Made up, as examples/cluster/prices.yaml says of its own."""


def values(operator: str, runner: str, cores: int) -> dict[str, Any]:
    """Values of the chart: these images, a price, and no more rounds at once than the machine can carry."""
    return {
        "image": _image(operator) | {"pullPolicy": "Never"},
        "runner": {"image": _image(runner)},
        "artifacts": {"uri": "file:///artifacts", "persistentVolumeClaim": CLAIM},
        "operator": {"capacity": max(1, cores // len(EXAMPLES))},
        "prices": {
            "currency": CURRENCY,
            "entries": [{"accelerator": "cpu", "hourlyPerPod": HOURLY}],
        },
    }


def experiment(text: str, *, all_seeds: bool) -> dict[str, Any]:
    """An example's document, a thread a round; unless all seeds are wanted, with the first one alone."""
    document: dict[str, Any] = yaml.safe_load(text)
    document["spec"]["runner"] = {"resources": ONE_THREAD}
    if not all_seeds:
        document["spec"]["seeds"] = document["spec"]["seeds"][:1]
    return document


def groups(rendered: str) -> dict[str, Any]:
    """The alerts of a rendered PrometheusRule, as Prometheus itself reads them."""
    return {"groups": yaml.safe_load(rendered)["spec"]["groups"]}


def _image(name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag}
