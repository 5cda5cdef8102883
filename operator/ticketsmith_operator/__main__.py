"""The operator's process: `python -m ticketsmith_operator`."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

import kopf
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException
from prometheus_client import CollectorRegistry

from ticketsmith.experiment.gates import ranking_metric
from ticketsmith_operator.controller.controller import Controller
from ticketsmith_operator.controller.leadership import Always, Leadership
from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.controller.reconcile import Reconciler
from ticketsmith_operator.controller.views import Key
from ticketsmith_operator.controller.workqueue import WorkQueue
from ticketsmith_operator.flags import read_settings
from ticketsmith_operator.handlers import kopf_settings, registry
from ticketsmith_operator.kube.client import ApiKube, connect
from ticketsmith_operator.logs import set_up
from ticketsmith_operator.metrics.metrics import Metrics
from ticketsmith_operator.metrics.page import Page
from ticketsmith_operator.metrics.seen import Seen
from ticketsmith_operator.money.prices import PriceFile
from ticketsmith_operator.server import Health, serve
from ticketsmith_operator.settings import Settings
from ticketsmith_operator.tracing.otlp import open_traces

_LOG = logging.getLogger(__name__)
_GARBAGE = (5_000, 10, 200)
"""A full collection walks over all that is remembered: 0.2 s for 1,000 experiments, which is then every Job's delay. By
Python's own thresholds it would come every second under load, to find next to nothing."""
WATCH_AGAIN_SECONDS = 1.0
"""How soon everything is watched anew after watching broke off."""


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    settings = read_settings(arguments)
    set_up(settings.log_format, settings.log_level)
    gc.set_threshold(*_GARBAGE)
    try:
        asyncio.run(_run(settings))
    except (ConfigException, OSError) as problem:
        print(f"ticketsmith-operator: {problem}", file=sys.stderr)
        return 2
    return 0


async def _run(settings: Settings) -> None:
    configuration = await connect()
    collected = CollectorRegistry()
    metrics = Metrics(collected)
    kube = ApiKube(configuration, metrics.api_write)
    memory = Memory(time.time)
    queue: WorkQueue[Key] = WorkQueue()
    health = Health(settings.resync_seconds)
    leadership = _leadership(settings, kube)
    # What a replica on standby has on its queue waits for the leader, not for its workers.
    metrics.watch_queue(lambda: len(queue) if leadership.leads else 0)
    prices, traces = PriceFile(settings.prices), open_traces(settings.traces_endpoint)
    reconciler = Reconciler(kube, memory, settings, prices, metrics, time.time, traces)
    controller = Controller(kube, memory, queue, reconciler, settings, metrics, health, leadership)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def watch() -> None:
        # kopf looks once for what it is to watch: by then it must be installed.
        await controller.listed.wait()
        try:
            await _watch(settings, memory, queue, configuration)
        finally:
            stop.set()  # kopf heeds the signals too, and may be the first to know

    server = await serve(settings, Page(collected, lambda: _seen(memory)), health)
    try:
        async with asyncio.TaskGroup() as tasks:
            parts = {
                "leadership": tasks.create_task(leadership.run()),
                "controller": tasks.create_task(controller.run()),
                "watch": tasks.create_task(watch()),
            }
            for name, part in parts.items():
                health.watch(name, lambda part=part: not part.done())  # type: ignore[misc]
            await stop.wait()
            _LOG.info("stopping; rounds go on without the operator")
            for part in parts.values():
                part.cancel()
    finally:
        await server.cleanup()
        await kube.close()
        if traces is not None:
            traces.close()


def _seen(memory: Memory) -> Iterator[Seen]:
    for view in memory.experiments():
        if view.experiment is None:
            yield Seen(*view.key, view.status)
        else:
            spec = view.experiment.spec
            yield Seen(*view.key, view.status, spec.limits, ranking_metric(spec.gates))


async def _watch(
    settings: Settings, memory: Memory, queue: WorkQueue[Key], configuration: Configuration
) -> None:
    while True:
        try:
            await kopf.operator(
                registry=registry(memory, queue.add, configuration),
                settings=kopf_settings(),
                standalone=True,
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
            )
        except Exception as error:
            # To kopf a watch that is answered with 410 or 500 is the end of everything.
            _LOG.error("watching broke off: %s; it begins anew", error)
            await asyncio.sleep(WATCH_AGAIN_SECONDS)
        else:
            return


def _leadership(settings: Settings, kube: ApiKube) -> Leadership | Always:
    if not settings.leader_election:
        return Always()
    namespace = settings.lease_namespace or os.environ.get("POD_NAMESPACE")
    if not namespace:
        raise OSError(
            "--leader-election needs to know where its Lease lies: give --lease-namespace or set POD_NAMESPACE"
        )
    identity = f"{socket.gethostname()}_{os.getpid()}"
    return Leadership(kube, namespace, settings.lease_name, identity, settings.lease_seconds)


if __name__ == "__main__":
    sys.exit(main())
