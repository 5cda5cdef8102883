"""List everything anew: at the start, and then now and again, in case something happened that no event told of."""

from collections.abc import AsyncIterator

from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.controller.views import Key
from ticketsmith_operator.kube.base import EXPERIMENTS, JOBS, PODS, Kube
from ticketsmith_operator.names import EXPERIMENT_LABEL


async def resync(kube: Kube, memory: Memory, namespaces: tuple[str, ...]) -> AsyncIterator[Key]:
    """Bring memory up to date; the experiments about which something new was learned. KubeError if a list fails:
    then what was learned so far stays."""
    memory.begin_list()
    for namespace in namespaces or (None,):
        for what in (EXPERIMENTS, JOBS, PODS):
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
