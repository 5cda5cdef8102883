"""What is asked of Prometheus, as text. `$namespace`, `$experiment` and `$window` are variables of the dashboards.

Rounds end minutes to days apart, so whatever counts them is averaged over `$window`, not over a few scrapes.

Gauges of experiments are shown by every replica of the operator, those that stand by included: `latest` takes one of
each. Counters are kept by each replica for itself, and begin at zero when it is started: they are only ever read
through `rate` or `increase`, one series at a time, and added up afterwards.
"""

from dataclasses import dataclass

FLEET = 'namespace=~"$namespace"'
"""Chooses the experiments of the namespaces that are shown."""
EXPERIMENT = 'namespace="$namespace",name="$experiment"'
"""Chooses the one experiment that is shown."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how a series of its answer is called: {{label}} stands for the label's value."""

    promql: str
    legend: str = ""


def latest(gauge: str, by: str, selector: str = EXPERIMENT, but: str = "") -> str:
    """A gauge, one value for each set of the labels `by`, whatever number of replicas show it."""
    return f"max by ({by}) ({_series(gauge, selector, but)})"


def gauge(name: str, by: str = "namespace, name", but: str = "") -> str:
    """A gauge of the experiment that is shown."""
    return latest(f"ticketsmith_experiment_{name}", by, but=but)


def total(gauge: str, by: str, selector: str = FLEET, but: str = "", own: str = "") -> str:
    """A gauge added up by `by`, over namespaces and over the labels `own` that tell its series apart in one."""
    labels = ["namespace", *filter(None, f"{own}, {by}".split(", "))]
    return f"{_sum(by)} ({latest(gauge, ', '.join(dict.fromkeys(labels)), selector, but)})"


def per_second(counter: str, by: str, selector: str = FLEET, over: str = "$window") -> str:
    """How fast a counter grows, averaged over the last `over`."""
    return f"{_sum(by)} (rate({_series(counter, selector)}[{over}]))"


def per_hour(counter: str, by: str, selector: str = FLEET) -> str:
    """How much a counter grows in an hour, averaged over the window."""
    return f"{per_second(counter, by, selector)} * 3600"


def grown(counter: str, by: str, selector: str = FLEET, over: str = "$__range") -> str:
    """By how much a counter grew over the time that is shown, or over the last `over`."""
    return f"{_sum(by)} (increase({_series(counter, selector)}[{over}]))"


def share(part: str, whole: str) -> str:
    """`part` of `whole`, both with the same labels; nothing where there is nothing to have a part of."""
    return f"{part} / ({whole} > 0)"


def quantile(which: float, histogram: str) -> str:
    """A quantile of what a histogram observed in the window; no value while it observed nothing."""
    return f"histogram_quantile({which}, sum by (le) (rate({histogram}_bucket[$window])))"


def time_until_done() -> str:
    """Seconds until every round of this experiment is settled, at the pace of the window; nothing while it stands
    still, or once it is over. A subquery, so that the pace outlives the replica of the operator that told of it."""
    progress = latest("ticketsmith_experiment_progress_ratio", "namespace, name")
    return f"(1 - {progress}) / (deriv({progress}[$window:]) > 0) and {_is_running()}"


def time_until_deadline() -> str:
    """Seconds until this experiment's deadline; nothing while its clock stands still. What was used of it rises evenly,
    so a few scrapes tell how fast."""
    used = f"ticketsmith_experiment_deadline_ratio{{{EXPERIMENT}}}"
    pace = f"deriv({used}[$__rate_interval]) > 0"
    return f"max by (namespace, name) ((1 - {used}) / ({pace})) and {_is_running()}"


def _is_running() -> str:
    return latest("ticketsmith_experiment_phase", "namespace, name", but='phase="Running"')


def _series(name: str, *selectors: str) -> str:
    chosen = ",".join(filter(None, selectors))
    return f"{name}{{{chosen}}}" if chosen else name


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"
