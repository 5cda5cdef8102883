"""A node that runs Pods as plain local processes, or only pretends to, and misbehaves when told to."""

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from misbehaviour import Behaviour, Interruption, Script
from pod_api import Gone, PodApi
from pod_container import Resolver, localize
from pod_history import Ran, overlapping
from pod_life import PodLife
from pod_status import End, stamp
from pod_work import LocalProcess, Pretence, Work

from ticketsmith.experiment.contract import (
    ROUND_VARIABLE,
    BenchmarkRound,
    ReportRound,
    RoundError,
    RoundResult,
    TrainRound,
    read_round,
    write_answer,
)

Answering = Callable[[TrainRound | BenchmarkRound | ReportRound], RoundResult | RoundError]
Answer = TypeVar("Answer")
HEARTBEAT_SECONDS = 10.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class ProcessKubelet:
    """A node from `start` to `stop`, or within a `with` block. It lives in a thread of its own.

    `claims` gives each persistent volume claim a folder, `image_environment` is what the image would set, `labels`
    are the node's. With `simulate`, no process is started: a round's container ends after `seconds` with the answer
    of that function, any other container with exit code 0. `script` says which Pods are to misbehave.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        script: Callable[[Mapping[str, Any]], Behaviour] | None = None,
        simulate: Answering | None = None,
        seconds: float = 0.0,
        claims: Mapping[str, Path] | None = None,
        image_environment: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        gpus: int = 8,
        longest_grace: float = 30.0,
    ) -> None:
        self.name = f"node-{uuid.uuid4().hex[:8]}"
        self.history: list[Ran] = []
        """Every container that was started, in order."""
        self._kubeconfig = kubeconfig
        self._folder = folder / self.name
        self._script = script or Script({})
        self._simulate = simulate
        self._seconds = seconds
        self._claims = claims or {}
        self._image_environment = image_environment or {}
        self._labels = labels or {}
        self._gpus = gpus
        self._longest_grace = longest_grace
        self._lives: dict[str, tuple[PodLife, asyncio.Task[None]]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._troubles: list[BaseException] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=self.name, daemon=True)

    def __enter__(self) -> "ProcessKubelet":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- for tests -------------------------------------------------------------------------------
    def start(self) -> None:
        """Register the node and take Pods; returns once the scheduler may bind some to it."""
        self._thread.start()
        self._api = self._wait(PodApi.open(self._kubeconfig))
        try:
            self._wait(self._begin())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every container, take the node and its Pods away; fails the test if the kubelet itself broke.
        Once stopped, it may be stopped again."""
        if self._loop.is_closed():
            return
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._troubles:
            pytest.fail(f"the process kubelet broke: {self._troubles[0]!r}")

    def interrupt(self, round_name: str, how: Interruption) -> None:
        """Let something happen to every running container of that round, now (`how.after` is not waited for)."""

        def tell() -> None:
            for life, _ in self._lives.values():
                if life.ran.round == round_name and life.ran.started:
                    life.interrupt(how)

        self._loop.call_soon_threadsafe(tell)

    def ran(self, round_name: str, attempt: int | None = None) -> list[Ran]:
        """The containers that were started for a round, oldest first."""
        return [
            ran
            for ran in list(self.history)
            if ran.round == round_name and attempt in (None, ran.attempt)
        ]

    def overlaps(self) -> list[tuple[Ran, Ran]]:
        """Pairs of containers that worked on the same round at the same time. There must be none."""
        return overlapping(list(self.history))

    # --- the node --------------------------------------------------------------------------------
    async def _begin(self) -> None:
        await self._register()
        self._background = [self._task(self._beat()), self._task(self._follow_pods())]
        while "taints" in (await self._api.ask("GET", f"/api/v1/nodes/{self.name}"))["spec"]:
            await asyncio.sleep(0.05)  # a new node is tainted until its controller believes in it

    async def _end(self) -> None:
        tasks = [*self._background, *(task for _, task in self._lives.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A server that has gone takes the node with it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._leave()
        await self._api.close()

    async def _register(self) -> None:
        amounts = {
            "cpu": "64",
            "memory": "256Gi",
            "ephemeral-storage": "256Gi",
            "pods": "10000",
            "nvidia.com/gpu": str(self._gpus),
        }
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", **self._labels}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": stamp(time.time()),
        }
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "status": {
                "capacity": amounts,
                "allocatable": amounts,
                "conditions": [ready],
                "addresses": [{"type": "Hostname", "address": self.name}],
            },
        }
        await self._api.ask("POST", "/api/v1/nodes", node)
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40},
        }
        await self._api.ask("POST", _LEASES, lease)

    async def _leave(self) -> None:
        """What a drained and removed machine leaves: nothing."""
        selector = f"spec.nodeName={self.name}"
        with contextlib.suppress(Gone):
            pods = await self._api.ask("GET", "/api/v1/pods", fieldSelector=selector)
            for pod in pods["items"]:
                meta = pod["metadata"]
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
                with contextlib.suppress(Gone):
                    await self._api.ask("DELETE", path, {"gracePeriodSeconds": 0})
        for path in (f"/api/v1/nodes/{self.name}", f"{_LEASES}/{self.name}"):
            with contextlib.suppress(Gone):
                await self._api.ask("DELETE", path)

    async def _beat(self) -> None:
        while True:
            moment = stamp(time.time()).replace("Z", ".000000Z")
            body = {"spec": {"renewTime": moment}}
            await self._api.ask("PATCH", f"{_LEASES}/{self.name}", body)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    # --- its Pods --------------------------------------------------------------------------------
    async def _follow_pods(self) -> None:
        selector = f"spec.nodeName={self.name}"
        async for event, told in self._api.follow("/api/v1/pods", fieldSelector=selector):
            if event == "LIST":
                for uid in self._lives.keys() - {pod["metadata"]["uid"] for pod in told}:
                    self._vanished(uid)
                for pod in told:
                    self._seen(pod)
            elif event == "DELETED":
                self._vanished(told["metadata"]["uid"])
            else:
                self._seen(told)

    def _seen(self, pod: Mapping[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._lives:
            life = PodLife(
                self._api, pod, self._work, self._script(pod), self._folder, self._longest_grace
            )
            self._lives[uid] = life, self._task(life.live(self.history.append))
        self._lives[uid][0].changed(pod)

    def _vanished(self, uid: str) -> None:
        if uid in self._lives:
            self._lives.pop(uid)[1].cancel()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (trouble := task.exception()) is not None:
            self._troubles.append(trouble)

    async def _work(self, resolver: Resolver, container: Mapping[str, Any], folder: Path) -> Work:
        if self._simulate is None:
            image = self._image_environment
            local = await localize(resolver, container, folder, self._claims, image)
            return await LocalProcess.begin(local, folder / "log")
        told = (await resolver.environment(container)).get(ROUND_VARIABLE)
        if told is None:
            return Pretence(End(0), self._seconds)
        answer = self._simulate(read_round(told))
        code = answer.exit_code if isinstance(answer, RoundError) else 0
        return Pretence(End(code, write_answer(answer)), self._seconds)

    def _wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)


StartKubelet = Callable[..., ProcessKubelet]
"""The fixture start_kubelet: the keyword arguments of ProcessKubelet -> one that runs until the test ends."""
