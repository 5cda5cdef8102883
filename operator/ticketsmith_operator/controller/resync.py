"""List everything anew: at the start, and then now and again, in case something happened that no event told of."""

from collections.abc import AsyncIterator

from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.controller.views import Key
from ticketsmith_operator.kube.base import EXPERIMENTS, JOBS, PODS, Kube, Resource
from ticketsmith_operator.names import EXPERIMENT_LABEL

Collection = tuple[Resource, str | None]
"""A kind, in a namespace or in the whole cluster."""


def collections(namespaces: tuple[str, ...]) -> list[Collection]:
    """Everything that is listed."""
    kinds = (EXPERIMENTS, JOBS, PODS)
    return [(what, namespace) for namespace in namespaces or (None,) for what in kinds]


async def relist(kube: Kube, memory: Memory, collection: Collection) -> AsyncIterator[Key]:
    """Bring memory up to date with one collection; the experiments about which something new was learned. KubeError if
    the list fails: then what was learned so far stays."""
    what, namespace = collection
    selector = "" if what == EXPERIMENTS else EXPERIMENT_LABEL
    listed: set[str] = set()
    version = 0
    async for page in kube.pages(what, namespace, selector):
        version = version or int(page["metadata"]["resourceVersion"])
        for body in page["items"]:
            listed.add(body["metadata"]["uid"])
            key = memory.see(what, body)
            if key is not None:
                yield key
    for key in memory.end_list(what, namespace, listed, version):
        yield key
