"""The API server through the official client's connection: its configuration and its HTTP, with plain documents.

The generated models are left aside: building and checking one costs more than the whole request.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from ticketsmith_operator.kube.base import (
    AlreadyThere,
    Body,
    Conflict,
    KubeError,
    NotThere,
    Refused,
    Resource,
)
from ticketsmith_operator.names import MANAGER

PAGE = 500
"""Objects per page of a list."""
TIMEOUT_SECONDS = 30.0
"""What one request may take."""
_BEARER = "BearerToken"
_REFUSALS = {400, 403, 405, 413, 422}

Count = Callable[[str, str], None]
"""Told the verb and the plural of every write that was answered."""


async def connect() -> Configuration:
    """The cluster this Pod runs in, else the one of $KUBECONFIG. config.ConfigException if there is neither."""
    configuration = Configuration()
    if "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(client_configuration=configuration)
    # Asking the environment for a proxy costs two changes of thread a request; kopf's watches do without one, too.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


async def bearer(configuration: Configuration) -> str | None:
    """The token to show now, with its scheme; None where a client certificate stands in."""
    token: str | None = await configuration.get_api_key_with_prefix(_BEARER)
    return token


class ApiKube:
    """Kube over HTTP."""

    def __init__(self, configuration: Configuration, count: Count | None = None) -> None:
        self._configuration = configuration
        self._api = ApiClient(configuration)
        self._count = count

    async def get(self, what: Resource, namespace: str, name: str) -> Body:
        """See Kube.get."""
        return await self._ask("GET", what.path(namespace, name))

    async def pages(
        self, what: Resource, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[Body]:
        """See Kube.pages."""
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._ask("GET", what.path(namespace), query)
            yield page
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query = query | {"continue": following}

    async def create(self, what: Resource, namespace: str, body: Body) -> Body:
        """See Kube.create."""
        query = {"fieldManager": MANAGER}
        return await self._write("create", what, "POST", what.path(namespace), query, body)

    async def patch(self, what: Resource, namespace: str, name: str, patch: Body) -> Body:
        """See Kube.patch."""
        path = what.path(namespace, name)
        query = {"fieldManager": MANAGER}
        form = "application/merge-patch+json"
        return await self._write("patch", what, "PATCH", path, query, patch, form)

    async def replace(
        self, what: Resource, namespace: str, body: Body, *, subresource: str = ""
    ) -> Body:
        """See Kube.replace."""
        path = what.path(namespace, body["metadata"]["name"])
        path += f"/{subresource}" if subresource else ""
        return await self._write("update", what, "PUT", path, {"fieldManager": MANAGER}, body)

    async def delete(
        self, what: Resource, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        """See Kube.delete."""
        options: dict[str, object] = {"propagationPolicy": "Foreground"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._write("delete", what, "DELETE", what.path(namespace, name), {}, options)

    async def close(self) -> None:
        """See Kube.close."""
        await self._api.close()

    async def _write(
        self,
        verb: str,
        what: Resource,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body,
        form: str = "application/json",
    ) -> Body:
        answer = await self._ask(method, path, query, body, form)
        if self._count is not None:
            self._count(verb, what.plural)
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        form: str = "application/json",
    ) -> Body:
        url = self._configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "Content-Type": form, "User-Agent": MANAGER}
        token = await bearer(self._configuration)
        if token:
            headers["Authorization"] = token
        try:
            response = await self._api.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=TIMEOUT_SECONDS
            )
            content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = str(error) or type(error).__name__
            raise KubeError(f"the API server does not answer: {words}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not this task but one that it waits for, such as the HTTP client's: see `together`.
            raise KubeError("the call to the API server was cut off") from None
        if response.status >= 400:
            raise _refusal(response.status, content, response.headers.get("Retry-After"))
        try:
            answer: Body = json.loads(content)
        except ValueError as error:
            raise KubeError(f"the API server's answer to {method} {path} is no JSON") from error
        return answer


def _refusal(code: int, content: bytes, wait: str | None) -> KubeError:
    """What an HTTP status above 400 means to the caller."""
    try:
        status = json.loads(content)
    except ValueError:
        status = {}
    if not isinstance(status, dict):
        status = {}
    message = str(status.get("message") or f"the API server answered {code}")
    retry_after = float(wait) if wait and wait.isdecimal() else None
    if code == 409 and status.get("reason") == "AlreadyExists":
        return AlreadyThere(message, code=code)
    known = {409: Conflict, 404: NotThere}
    kind = known.get(code, Refused if code in _REFUSALS else KubeError)
    return kind(message, code=code, retry_after=retry_after)
