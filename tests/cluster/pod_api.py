"""What the process kubelet asks of an API server: it asks until it is answered, whatever happens to the server."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

Body = Mapping[str, Any]

PAUSE_SECONDS = 0.2
"""Between two tries at a server that does not answer."""
_STRATEGIC = "application/strategic-merge-patch+json"


class Gone(Exception):
    """The object is not there any more, or another one has its name."""


class PodApi:
    """Plain documents over HTTP."""

    def __init__(self, configuration: Configuration, token: str | None) -> None:
        context = ssl.create_default_context(
            cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
        )
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        self._session = aiohttp.ClientSession(
            configuration.host,
            connector=aiohttp.TCPConnector(ssl=context, limit=64),
            headers={"Authorization": token} if token else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=2**24,  # an event is one line, and a Pod may be long
        )

    @classmethod
    async def open(cls, kubeconfig: Path) -> "PodApi":
        """Connect as that kubeconfig says."""
        configuration = Configuration()
        await load_kube_config(str(kubeconfig), client_configuration=configuration)
        return cls(configuration, await configuration.get_api_key_with_prefix("BearerToken"))

    async def close(self) -> None:
        """Let the connections go."""
        await self._session.close()

    async def ask(self, method: str, path: str, body: Body | None = None, **query: str) -> Any:
        """The answer as a document. Gone on 404 and 409; RuntimeError if the request itself is wrong."""
        form = _STRATEGIC if method == "PATCH" else "application/json"
        while True:
            try:
                async with self._session.request(
                    method,
                    path,
                    params=query,
                    data=None if body is None else json.dumps(body),
                    headers={"Content-Type": form},
                    timeout=aiohttp.ClientTimeout(total=30),
                ) as response:
                    content = await response.read()
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                status = 503
            if status < 400:
                return json.loads(content)
            if status in (404, 409):
                raise Gone(path)
            # While it starts, the server knows neither its tokens nor its roles yet.
            if status < 500 and status not in (401, 403, 429):
                raise RuntimeError(f"{method} {path}: {status}: {content.decode(errors='replace')}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def follow(self, path: str, **query: str) -> AsyncIterator[tuple[str, Any]]:
        """("LIST", every object), then (event, object) as they change; from a LIST again when the watch breaks."""
        while True:
            listed = await self.ask("GET", path, None, **query)
            yield "LIST", listed["items"]
            version = listed["metadata"]["resourceVersion"]
            try:
                async with self._session.get(
                    path, params={**query, "watch": "1", "resourceVersion": version}
                ) as response:
                    async for line in response.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                await asyncio.sleep(PAUSE_SECONDS)
