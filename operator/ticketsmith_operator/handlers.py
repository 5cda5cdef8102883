"""kopf as the source of events, and nothing else: what happens goes into memory, and its experiment on the queue."""

from collections.abc import Callable, Mapping
from typing import Any

import kopf
from kubernetes.aio.client import Configuration

from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.controller.views import Key
from ticketsmith_operator.kube.base import EXPERIMENTS, JOBS, PODS, Resource
from ticketsmith_operator.kube.client import bearer
from ticketsmith_operator.names import EXPERIMENT_LABEL, MANAGER


def registry(
    memory: Memory, add: Callable[[Key], None], configuration: Configuration
) -> kopf.OperatorRegistry:
    """Handlers that watch experiments, and the Jobs and Pods that carry our label."""
    handlers = kopf.OperatorRegistry()

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        scheme, _space, token = (await bearer(configuration) or "").partition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    def heed(what: Resource) -> Callable[..., Any]:
        async def happened(event: Mapping[str, Any], **_: Any) -> None:
            told = memory.forget if event["type"] == "DELETED" else memory.see
            key = told(what, event["object"])
            if key is not None:
                add(key)

        return happened

    kopf.on.login(registry=handlers, id="log-in")(log_in)
    for what in (EXPERIMENTS, JOBS, PODS):
        labels = None if what == EXPERIMENTS else {EXPERIMENT_LABEL: kopf.PRESENT}
        kopf.on.event(
            what.group,
            what.version,
            what.plural,
            registry=handlers,
            id=f"see-{what.plural}",
            labels=labels,
        )(heed(what))
    return handlers


def kopf_settings() -> kopf.OperatorSettings:
    """kopf without anything that writes: no Events, no annotations, no peering, no look at the whole cluster."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    # Watching that breaks off begins anew in the same process, which kopf would otherwise kill ten minutes later.
    chosen.process.ultimate_exiting_timeout = None
    chosen.watching.chunk_size = 500
    chosen.execution.max_workers = 1
    # kopf keeps a task, and the object, of every event so long: at 200 events a second that is memory.
    chosen.queueing.idle_timeout = 0.5
    chosen.persistence.finalizer = f"{MANAGER}/unused"
    chosen.persistence.diffbase_storage = _NoDifferences()
    for what in (JOBS, PODS):
        chosen.watching.label_selectors[what.group, what.version, what.plural] = EXPERIMENT_LABEL
    return chosen


class _NoDifferences(kopf.DiffBaseStorage):
    """Nobody asks kopf what changed; by default it copies every object of every event, leaf by leaf, to know."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None
