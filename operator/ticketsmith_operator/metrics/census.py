"""How many experiments and rounds there are in each namespace, and in what state."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from prometheus_client.core import GaugeMetricFamily

from ticketsmith.experiment.status import Phase, RoundStatus
from ticketsmith_operator.metrics.seen import Seen
from ticketsmith_operator.metrics.under_way import Key, is_pending


def phases(experiments: Sequence[Seen]) -> GaugeMetricFamily:
    """Experiments by phase."""
    found = Counter[tuple[str, str]]((seen.namespace, seen.phase) for seen in experiments)
    text = "Experiments that exist."
    return _family("experiments", text, "phase", get_args(Phase), experiments, found)


def states(
    experiments: Sequence[Seen], rounds: Mapping[Key, Iterable[RoundStatus]]
) -> GaugeMetricFamily:
    """Rounds under way, by whether their containers run."""
    found = Counter[tuple[str, str]](
        (namespace, "pending" if is_pending(one) else "running")
        for (namespace, _), running in rounds.items()
        for one in running
    )
    text = "Rounds whose attempt has not ended."
    return _family("rounds_in_progress", text, "state", ("pending", "running"), experiments, found)


def _family(
    name: str,
    text: str,
    label: str,
    values: Sequence[str],
    experiments: Sequence[Seen],
    found: Counter[tuple[str, str]],
) -> GaugeMetricFamily:
    """A figure for each namespace that has an experiment, zeros included."""
    family = GaugeMetricFamily(f"ticketsmith_{name}", text, labels=("namespace", label))
    for namespace in sorted({seen.namespace for seen in experiments}):
        for value in values:
            family.add_metric((namespace, value), found[namespace, value])
    return family
