"""The life of one Pod on the process kubelet's node, from its binding to its removal."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pod_status
from misbehaviour import (
    AnswerTwice,
    Behaviour,
    Delay,
    Evict,
    Exit,
    Hang,
    Interruption,
    Lose,
    NeverStart,
    Oom,
)
from pod_api import Gone, PodApi
from pod_container import CannotStart, Resolver
from pod_history import Ran, identity
from pod_status import End
from pod_work import KILLED, Pretence, Work

Begin = Callable[[Resolver, Mapping[str, Any], Path], Awaitable[Work]]
"""Starts a container's duty: (what the Pod refers to, the container, a folder of its own) -> work that goes on."""
_UNKNOWN = End(KILLED, reason="ContainerStatusUnknown")
"""What a kubelet says of a container that it cannot ask any more."""


class PodLife:
    """Told of changes by `changed` and `interrupt`; everything else happens in `live`."""

    def __init__(
        self,
        api: PodApi,
        pod: Mapping[str, Any],
        begin: Begin,
        behaviour: Behaviour,
        folder: Path,
        longest_grace: float,
    ) -> None:
        self._api = api
        self._pod = pod
        self._begin = begin
        self._behaviour = behaviour
        self._longest_grace = longest_grace
        self._interruption: asyncio.Future[Interruption] = asyncio.Future()
        self._deletion: asyncio.Future[float] = asyncio.Future()
        meta = pod["metadata"]
        self._path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self.ran = Ran(*identity(pod), meta["name"], meta["uid"], folder / meta["uid"], 0.0)
        """What is noted of it; started at 0.0 as long as it was not."""

    def changed(self, pod: Mapping[str, Any]) -> None:
        """The API server told of the Pod anew."""
        if "deletionTimestamp" in pod["metadata"] and not self._deletion.done():
            self._deletion.set_result(pod["metadata"].get("deletionGracePeriodSeconds", 0))

    def interrupt(self, how: Interruption) -> None:
        """Let something happen to it now; without effect once it has ended."""
        if not self._interruption.done():
            self._interruption.set_result(how)

    async def live(self, note: Callable[[Ran], None]) -> None:
        """Everything, until the Pod is gone. Cancelled: its container is killed first."""
        with contextlib.suppress(Gone):
            work = await self._start()
            if work is None:
                await self._tell_end(_UNKNOWN)
            else:
                note(self.ran)
                try:
                    end = await self._carry_on(work)
                finally:
                    await work.kill()
                    self.ran.finish(KILLED)
                await self._tell_end(end)
            await self._deletion
            await self._remove()

    async def _start(self) -> Work | None:
        """Begin the container's work as soon as it can be; None if the Pod is deleted before."""
        if isinstance(self._behaviour, NeverStart):
            why = self._behaviour
            await self._tell(pod_status.waiting(self._pod, why.reason, why.message))
            await self._deletion
        while not self._deletion.done():
            try:
                work = await self._begin_as_told()
            except CannotStart as why_not:
                reason = "CreateContainerConfigError"
                await self._tell(pod_status.waiting(self._pod, reason, str(why_not)))
                await asyncio.wait([self._deletion], timeout=0.5)
            else:
                self.ran.started = work.began
                return work
        return None

    async def _begin_as_told(self) -> Work:
        match self._behaviour:
            case Exit(code, message, after):
                return Pretence(End(code, message), after)
            case AnswerTwice(first):
                return Pretence(End(0, first), 0.0)
            case Hang():
                return Pretence(End(KILLED), None, stubborn=True)
            case Delay(seconds) if seconds:
                await asyncio.wait([self._deletion], timeout=seconds)
        self.ran.folder.mkdir(parents=True, exist_ok=True)
        resolver = Resolver(self._api, self._pod, self.ran.folder)
        try:
            return await self._begin(resolver, self._pod["spec"]["containers"][0], self.ran.folder)
        except FileNotFoundError as missing:
            return Pretence(End(128, str(missing), "StartError"), 0.0)

    async def _carry_on(self, work: Work) -> End:
        """Let it work until it ends, is interrupted, or its Pod is deleted."""
        own_end = asyncio.ensure_future(self._run_out(work))
        try:
            await self._tell(pod_status.running(self._pod, self.ran.started))
            if isinstance(self._behaviour, Evict | Oom | Lose):
                loop = asyncio.get_running_loop()
                loop.call_later(self._behaviour.after, self.interrupt, self._behaviour)
            ends: list[asyncio.Future[Any]] = [own_end, self._interruption, self._deletion]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if own_end.done():
                end = own_end.result()
            elif self._interruption.done():
                end = await self._interrupted(work, self._interruption.result())
            else:
                end = await work.stop(min(self._deletion.result(), self._longest_grace))
        finally:
            own_end.cancel()
        self.ran.finish(end.code)
        return end

    async def _run_out(self, work: Work) -> End:
        """Wait for its end and note it at once: the API server may be slow to hear of it."""
        end = await work.wait()
        self.ran.finish(end.code)
        return end

    async def _interrupted(self, work: Work, how: Interruption) -> End:
        if isinstance(how, Evict):
            grace = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
            end = await work.stop(min(grace, self._longest_grace))
            return End(end.code, end.message, end.reason, disrupted=True)
        await work.kill()
        if isinstance(how, Oom):
            return End(KILLED, reason="OOMKilled")
        await self._remove()
        return _UNKNOWN

    async def _tell_end(self, end: End) -> None:
        ran = self.ran
        times = None if ran.ended is None else (ran.started, ran.ended)
        await self._tell(pod_status.ended(self._pod, times, end))
        if isinstance(self._behaviour, AnswerTwice) and end.code == 0:
            second = End(0, self._behaviour.second)
            await self._tell(pod_status.ended(self._pod, times, second))

    async def _tell(self, status: Mapping[str, Any]) -> None:
        body = {"metadata": {"uid": self._pod["metadata"]["uid"]}, "status": status}
        await self._api.ask("PATCH", f"{self._path}/status", body)

    async def _remove(self) -> None:
        """Take the Pod itself away; Gone if it is not there any more."""
        uid = self._pod["metadata"]["uid"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        await self._api.ask("DELETE", self._path, options)
