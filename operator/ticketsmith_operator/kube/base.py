"""What the operator asks of an API server, behind one small Protocol, and how it is refused."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ticketsmith_operator.names import GROUP, PLURAL, VERSION

Body = Mapping[str, Any]
"""An object as the API server sends it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Path of one object, of a namespace's collection, or of the whole cluster's."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, *(["namespaces", namespace] if namespace else []), self.plural]
        return "/".join([*parts, *([name] if name else [])])


EXPERIMENTS = Resource(GROUP, VERSION, PLURAL)
JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
EVENTS = Resource("", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")


class KubeError(Exception):
    """The API server did not do what was asked; it may be asked again later."""

    def __init__(
        self, message: str, *, code: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        """HTTP status; None where no answer came."""
        self.retry_after = retry_after
        """Seconds the server asks to wait."""


class Conflict(KubeError):
    """409: the object was changed by somebody else, or is another one now. Read it again."""


class AlreadyThere(KubeError):
    """409 AlreadyExists: an object of that name is there."""


class NotThere(KubeError):
    """404: there is no such object (any more)."""


class Refused(KubeError):
    """400, 403 or 422: asking again would not help unless something else changes."""


class Kube(Protocol):
    """Every call may raise KubeError. Objects are plain documents; nothing is retried within."""

    async def get(self, what: Resource, namespace: str, name: str) -> Body:
        """The object now. NotThere if there is none."""
        ...

    def pages(
        self, what: Resource, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[Body]:
        """Every object (of a namespace, or of the cluster) with these labels, as lists that carry their version."""
        ...

    async def create(self, what: Resource, namespace: str, body: Body) -> Body:
        """Make an object; AlreadyThere if its name is taken, NotThere if the namespace is."""
        ...

    async def patch(self, what: Resource, namespace: str, name: str, patch: Body) -> Body:
        """Apply a JSON merge patch."""
        ...

    async def replace(
        self, what: Resource, namespace: str, body: Body, *, subresource: str = ""
    ) -> Body:
        """Replace an object, or its status; Conflict unless metadata.resourceVersion (and uid) are current."""
        ...

    async def delete(
        self, what: Resource, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        """Delete an object and then, before it goes itself, what it owns (foreground). NotThere if there is none;
        Conflict if it has another uid."""
        ...

    async def close(self) -> None:
        """Let the connections go."""
        ...
