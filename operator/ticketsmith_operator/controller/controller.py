"""The loops of the operator: workers that take turns, and the resync."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ticketsmith_operator.controller.leadership import Always, Leadership
from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.controller.reconcile import Reconciler, refresh
from ticketsmith_operator.controller.resync import Collection, collections, relist
from ticketsmith_operator.controller.views import Key
from ticketsmith_operator.controller.workqueue import WorkQueue
from ticketsmith_operator.kube.base import Conflict, Kube, KubeError, NotThere, Refused
from ticketsmith_operator.metrics.metrics import Metrics, Trouble
from ticketsmith_operator.server import Health
from ticketsmith_operator.settings import Settings

_LOG = logging.getLogger(__name__)
RETRY_SECONDS = 2.0
"""How soon a list that failed is tried again."""


@dataclass
class Controller:
    """Keeps every experiment's cluster in agreement with its plan."""

    kube: Kube
    memory: Memory
    queue: WorkQueue[Key]
    reconciler: Reconciler
    settings: Settings
    metrics: Metrics
    health: Health
    leadership: Leadership | Always
    clock: Callable[[], float] = time.perf_counter
    listed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Everything was listed once."""

    async def run(self) -> None:
        """List everything, then work until cancelled."""
        await self._resync()
        self.health.listed()
        self.listed.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resync_forever(), name="resync")
            for number in range(self.settings.workers):
                tasks.create_task(self._work(), name=f"worker-{number}")

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self.leadership.wait_to_lead()
                await self._turn(key)
            finally:
                self.queue.done(key)

    async def _turn(self, key: Key) -> None:
        begun = self.clock()
        try:
            wait = await self.reconciler.reconcile(key)
        except (Conflict, NotThere) as error:
            self._failed("conflict", key, error)
            await self._refresh(key)
        except Refused as error:
            self._failed("refused", key, error)
        except KubeError as error:
            self._failed("unreachable", key, error)
        except Exception as error:
            # One experiment's trouble must not stop the others.
            self._failed("bug", key, error)
        else:
            self.queue.forget_failures(key)
            if wait is not None:
                self.queue.add_after(key, wait)
        self.metrics.reconciled(self.clock() - begun)

    async def _refresh(self, key: Key) -> None:
        try:
            await refresh(self.kube, self.memory, key)
        except KubeError as error:
            self._failed("unreachable", key, error)

    def _failed(self, kind: Trouble, key: Key, error: Exception) -> None:
        self.metrics.reconcile_failed(kind)
        wait = error.retry_after if isinstance(error, KubeError) else None
        self.queue.add_failed(key, wait)
        level = {"conflict": logging.DEBUG, "bug": logging.ERROR}.get(kind, logging.WARNING)
        told = {"namespace": key[0], "experiment": key[1]}
        trace = error if kind == "bug" else None
        _LOG.log(level, "%s; it is tried again", error, extra=told, exc_info=trace)

    async def _resync_forever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.resync_seconds)
            await self._resync()

    async def _resync(self) -> None:
        """List everything, what fails again until it is there too; then look at every experiment."""
        self.memory.begin_list()
        left = collections(self.settings.namespaces)
        while left:
            left = await self._relist(left)
        views = self.memory.experiments()
        self.reconciler.forget({view.uid for view in views})
        for view in views:
            self.queue.add(view.key)
        self.health.resynced()
        self.metrics.resynced()

    async def _relist(self, wanted: list[Collection]) -> list[Collection]:
        """List these, and wait a little if one fails; those that are still to be listed."""
        failed: list[Collection] = []
        wait = 0.0
        for number, collection in enumerate(wanted):
            try:
                async for key in relist(self.kube, self.memory, collection):
                    self.queue.add(key)
            except KubeError as error:
                missing = isinstance(error, NotThere)
                hint = " (are the custom resource definitions installed?)" if missing else ""
                _LOG.warning("listing failed: %s%s; it is tried again", error, hint)
                failed.append(collection)
                wait = max(wait, error.retry_after or RETRY_SECONDS)
                if error.code is None:  # nobody is there to answer the others
                    failed += wanted[number + 1 :]
                    break
        await asyncio.sleep(wait)
        return failed
