"""Stands between an operator and its API server, keeps a record of what is said, and misbehaves as told.

Faults are put on namespaces: each namespace has its own count of writes, reads and watch events, so that one operator
can be troubled at a different point in each of many namespaces at the same time.
"""

import asyncio
import json
import re
import ssl
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiohttp
import yaml
from aiohttp import web
from cluster_access import private_file
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

Sort = Literal["write", "read", "watch"]
T = TypeVar("T")

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATH = re.compile(
    r"^/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>[^/]+))?$"
)
_KEPT_REQUEST = ("Content-Type", "Accept", "User-Agent")
_KEPT_ANSWER = ("Content-Type", "Retry-After")


@dataclass(frozen=True)
class Call:
    """One request of the operator."""

    verb: str
    """create, update, patch, delete, get, list or watch."""
    resource: str
    """Plural, with its subresource: pruningexperiments/status."""
    namespace: str | None
    """None where the whole cluster is spoken of."""
    name: str | None
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    number: int = 0
    """Counts the calls of its sort in its namespace, from 1."""

    @property
    def sort(self) -> Sort:
        """write, read or watch."""
        if self.verb in ("get", "list"):
            return "read"
        return "watch" if self.verb == "watch" else "write"

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name or ''}".strip()


@dataclass(frozen=True)
class Answer:
    """What the operator is told."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Fault:
    """Something that goes wrong; this one lets everything pass. Runs in the proxy's loop."""

    async def before(self, proxy: "FaultProxy", call: Call) -> Answer | None:
        """Called for every request; an answer given here is the operator's, and the API server is not asked."""
        return None

    async def after(self, proxy: "FaultProxy", call: Call, answer: Answer) -> Answer:
        """Called with the API server's answer to anything but a watch; what it returns is passed on."""
        return answer

    async def passes(self, proxy: "FaultProxy", call: Call, event: Any, number: int) -> bool:
        """Whether a watch event is passed on; `number` counts those of the object's namespace from 1."""
        return True


class FaultProxy:
    """Serves plain HTTP on loopback from a thread of its own. A context manager; `kubeconfig` is for the operator."""

    def __init__(self, cluster: Path, folder: Path) -> None:
        self._cluster = cluster
        self.kubeconfig = folder / "proxied.kubeconfig"
        self.faults: dict[str | None, Fault] = {}
        """By namespace; the fault under None is asked for every call, before the namespace's own."""
        self.calls: list[Call] = []
        """Everything asked for so far."""
        self.events: dict[str, list[str]] = defaultdict(list)
        """By namespace: type, kind and name of each watch event that came."""
        self.versions: dict[str | None, list[int]] = defaultdict(list)
        """By namespace: the resourceVersions that were told, rising."""
        self._counts: Counter[tuple[str | None, Sort]] = Counter()
        self._watches: list[tuple[str, web.Request]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._folder = folder

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- for tests -------------------------------------------------------------------------------
    def writes(self, namespace: str | None = None) -> list[Call]:
        """The writes asked for in a namespace, in order."""
        return [c for c in self.calls if c.sort == "write" and c.namespace == namespace]

    def reads(self, namespace: str | None = None) -> list[Call]:
        """The reads asked for in a namespace, in order."""
        return [c for c in self.calls if c.sort == "read" and c.namespace == namespace]

    def break_watches(self, resource: str | None = None) -> int:
        """Cut the open watches (of one resource); returns how many there were."""
        return self._do(self._cut(resource))

    def refuse(self) -> None:
        """Accept no connection any more and cut those that are open."""
        self._do(self._stop_listening())

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        self._do(self._listen())

    # --- for faults ------------------------------------------------------------------------------
    async def forward(self, call: Call) -> Answer:
        """Ask the API server."""
        method = next((m for m, verb in _VERBS.items() if verb == call.verb), "GET")
        async with self._session.request(
            method,
            self._host + call.path,
            params=call.query,
            data=call.body or None,
            headers={**call.headers, **self._headers},
        ) as response:
            body = await response.read()
            kept = {k: response.headers[k] for k in _KEPT_ANSWER if k in response.headers}
            return Answer(response.status, body, kept)

    async def as_of(self, call: Call, version: int) -> Answer:
        """Answer a GET or LIST from the state of the past that has this resourceVersion."""
        exact = {"resourceVersion": str(version), "resourceVersionMatch": "Exact"}
        if call.verb == "list":
            if "continue" in call.query:
                return await self.forward(call)
            return await self.forward(replace(call, query={**call.query, **exact}))
        collection = call.path.rsplit("/", 1)[0]
        selected = exact | {"fieldSelector": f"metadata.name={call.name}"}
        answer = await self.forward(replace(call, path=collection, query=selected))
        listed = json.loads(answer.body)
        if not listed.get("items"):
            return failure(404, "NotFound")
        kind = {"kind": listed["kind"].removesuffix("List"), "apiVersion": listed["apiVersion"]}
        return replace(answer, body=json.dumps(kind | listed["items"][0]).encode())

    # --- serving ---------------------------------------------------------------------------------
    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _open(self) -> None:
        configuration = Configuration()
        await load_kube_config(str(self._cluster), client_configuration=configuration)
        token = await configuration.get_api_key_with_prefix("BearerToken")
        self._host = configuration.host
        self._headers = {"Authorization": token} if token else {}
        trust = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            trust.load_cert_chain(configuration.cert_file, configuration.key_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._port = 0
        await self._listen()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [
                {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}
            ],
            "users": [{"name": "proxy", "user": {"token": "known-to-the-proxy-alone"}}],
        }
        private_file(self.kubeconfig, yaml.safe_dump(document))

    async def _close(self) -> None:
        await self._cut(None)
        await self._runner.cleanup()
        held = asyncio.all_tasks() - {asyncio.current_task()}
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        await self._session.close()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]

    async def _stop_listening(self) -> None:
        await self._site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    async def _cut(self, resource: str | None) -> int:
        cut = [(r, request) for r, request in self._watches if resource in (None, r)]
        for _, request in cut:
            if request.transport is not None:
                request.transport.abort()
        return len(cut)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = await self._record(request)
        faults = [f for n in (None, call.namespace) if (f := self.faults.get(n)) is not None]
        if call.namespace is None:
            faults = faults[:1]
        for fault in faults:
            answer = await fault.before(self, call)
            if answer is not None:
                return _said(answer)
        if call.sort == "watch":
            return await self._watch(request, call)
        answer = await self.forward(call)
        self._learn(call.namespace, answer)
        for fault in faults:
            answer = await fault.after(self, call, answer)
        return _said(answer)

    async def _record(self, request: web.Request) -> Call:
        found = _PATH.match(request.path)
        parts = found.groupdict() if found else {}
        # /api/v1/namespaces/NAME speaks of the namespace itself.
        verb = _VERBS.get(request.method) or ("get" if parts.get("name") else "list")
        if verb == "list" and request.query.get("watch") in ("true", "1"):
            verb = "watch"
        resource = "/".join(filter(None, (parts.get("resource"), parts.get("subresource"))))
        call = Call(
            verb,
            resource or request.path,
            parts.get("namespace"),
            parts.get("name"),
            request.path,
            dict(request.query),
            {k: request.headers[k] for k in _KEPT_REQUEST if k in request.headers},
            await request.read(),
        )
        self._counts[call.namespace, call.sort] += 1
        call = replace(call, number=self._counts[call.namespace, call.sort])
        self.calls.append(call)
        return call

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        open_watch = (call.resource, request)
        async with self._session.get(
            self._host + call.path, params=call.query, headers={**call.headers, **self._headers}
        ) as upstream:
            if upstream.status != 200:
                return _said(Answer(upstream.status, await upstream.read(), {}))
            self._watches.append(open_watch)
            try:
                await stream.prepare(request)
                async for line in _lines(upstream.content):
                    if await self._passes(call, line):
                        await stream.write(line + b"\n")
            except (ConnectionError, aiohttp.ClientError):
                pass  # either side has gone: the watch is over
            finally:
                self._watches.remove(open_watch)
        return stream

    async def _passes(self, call: Call, line: bytes) -> bool:
        event = json.loads(line)
        metadata = event["object"].get("metadata", {})
        namespace = metadata.get("namespace")
        if event["type"] in ("BOOKMARK", "ERROR") or namespace is None:
            return True
        self._tell(namespace, metadata["resourceVersion"])
        told = self.events[namespace]
        told.append(f"{event['type']} {call.resource} {metadata['name']}")
        number = len(told)
        for fault in (self.faults.get(None), self.faults.get(namespace)):
            if fault is not None and not await fault.passes(self, call, event, number):
                return False
        return True

    def _learn(self, namespace: str | None, answer: Answer) -> None:
        if answer.status < 300 and answer.body.startswith(b"{"):
            metadata = json.loads(answer.body).get("metadata", {})
            if version := metadata.get("resourceVersion"):
                self._tell(namespace, version)

    def _tell(self, namespace: str | None, version: str) -> None:
        known = self.versions[namespace]
        if not known or int(version) > known[-1]:
            known.append(int(version))


def failure(code: int, reason: str, retry_after: int | None = None) -> Answer:
    """A refusal in the API server's words."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": f"the proxy was told to answer {code}",
        "code": code,
    }
    headers = {"Content-Type": "application/json"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Answer(code, json.dumps(status).encode(), headers)


def _said(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream, however long they are."""
    rest = b""
    async for chunk in stream.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
