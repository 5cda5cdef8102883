"""The text that Prometheus reads, made without holding up the event loop."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ticketsmith_operator.metrics.experiments import ExperimentCollector
from ticketsmith_operator.metrics.seen import Seen
from ticketsmith_operator.metrics.under_way import Waits


class Page:
    """Everything /metrics shows: the registry's counters, and the experiments that `experiments` names now."""

    def __init__(
        self,
        registry: CollectorRegistry,
        experiments: Callable[[], Iterable[Seen]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._experiments = experiments
        self._now = now
        self._waits = Waits()

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the format that suits an Accept header best.

        `experiments` is called on the event loop, so it may walk over what the loop changes. The text, 0.8 s of
        work for 5,000 experiments, is made in another thread.
        """
        seen = tuple(self._experiments())
        encode, content_type = choose_encoder(accept)
        whole = _Whole(self._registry, ExperimentCollector(seen, self._now(), self._waits))
        return await asyncio.to_thread(encode, whole), content_type


class _Whole(Collector):
    """Several collectors as one, without the client's `_created` samples: a second series beside every counter, which
    tells no more than that the operator was started."""

    def __init__(self, *collectors: CollectorRegistry | Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            for family in collector.collect():
                family.samples = [s for s in family.samples if not s.name.endswith("_created")]
                yield family
