"""A small API server in memory, and a controller's turn at it: for speed, and for faults a real one won't produce."""

import copy
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ticketsmith.experiment.contract import RoundResult, read_round
from ticketsmith_operator.controller.memory import Memory
from ticketsmith_operator.controller.reconcile import Reconciler, refresh
from ticketsmith_operator.kube.base import (
    EVENTS,
    EXPERIMENTS,
    JOBS,
    PODS,
    AlreadyThere,
    Body,
    Conflict,
    KubeError,
    NotThere,
    Resource,
)
from ticketsmith_operator.metrics.metrics import Metrics
from ticketsmith_operator.money.prices import PriceFile
from ticketsmith_operator.settings import Settings
from ticketsmith_operator.tracing.traces import Traces

BEGIN = 1_750_000_000.0
SPEC: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "sparsities": {"targets": [0.5]},
    "controls": [],
    "seeds": [0],
    "benchmark": None,
    "artifacts": {"uri": "gs://bucket/prefix"},
}


class Server:
    """Objects by kind, namespace and name, with versions that rise. `writes` lists what was asked of it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.fail: Callable[[str], KubeError | None] = lambda write: None
        """Asked before each write, e.g. `create jobs trial-dense-s0-1-abc`, for an error to answer instead."""
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    # --- the Protocol ----------------------------------------------------------------------------
    async def get(self, what: Resource, namespace: str, name: str) -> Body:
        return copy.deepcopy(self._find(what, namespace, name))

    async def pages(
        self, what: Resource, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[Body]:
        wanted = dict(part.split("=") for part in selector.split(",") if "=" in part)
        items = [
            copy.deepcopy(body)
            for (kind, space, _), body in self.objects.items()
            if kind == what
            and namespace in (None, space)
            and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]
        yield {"metadata": {"resourceVersion": str(next(self._versions))}, "items": items}

    async def create(self, what: Resource, namespace: str, body: Body) -> Body:
        name = body["metadata"]["name"]
        self._write("create", what, name)
        if (what, namespace, name) in self.objects:
            raise AlreadyThere(f"{name} is there", code=409)
        return self.put(what, namespace, body)

    async def patch(self, what: Resource, namespace: str, name: str, patch: Body) -> Body:
        self._write("patch", what, name)
        body = self._find(what, namespace, name)
        _merge(body, patch)
        return self._changed(body)

    async def replace(
        self, what: Resource, namespace: str, body: Body, *, subresource: str = ""
    ) -> Body:
        metadata = body["metadata"]
        self._write("update", what, metadata["name"])
        known = self._find(what, namespace, metadata["name"])
        for field in ("resourceVersion", "uid"):
            if metadata[field] != known["metadata"][field]:
                raise Conflict(f"{field} is {known['metadata'][field]}", code=409)
        if known.get(subresource) == body[subresource]:
            return copy.deepcopy(known)
        known[subresource] = copy.deepcopy(body[subresource])
        return self._changed(known)

    async def delete(
        self, what: Resource, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        self._write("delete", what, name)
        body = self._find(what, namespace, name)
        if uid not in (None, body["metadata"]["uid"]):
            raise Conflict("another uid", code=409)
        body["metadata"]["deletionTimestamp"] = "2025-06-15T00:00:00Z"
        self._changed(body)

    async def close(self) -> None:
        return

    # --- for tests -------------------------------------------------------------------------------
    def put(self, what: Resource, namespace: str, body: Body) -> dict[str, Any]:
        made = copy.deepcopy(dict(body))
        metadata = made["metadata"]
        metadata |= {"namespace": namespace, "uid": f"uid-{next(self._uids)}"}
        metadata.setdefault("generation", 1)
        self.objects[what, namespace, metadata["name"]] = made
        return self._changed(made)

    def all(self, what: Resource) -> list[dict[str, Any]]:
        return [body for (kind, _, _), body in self.objects.items() if kind == what]

    def change(self, body: dict[str, Any], **parts: Any) -> None:
        _merge(body, parts)
        self._changed(body)

    def _changed(self, body: dict[str, Any]) -> dict[str, Any]:
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        return copy.deepcopy(body)

    def _find(self, what: Resource, namespace: str, name: str) -> dict[str, Any]:
        try:
            return self.objects[what, namespace, name]
        except KeyError:
            raise NotThere(f"{name} is not there", code=404) from None

    def _write(self, verb: str, what: Resource, name: str) -> None:
        self.writes.append(f"{verb} {what.plural} {name}")
        error = self.fail(self.writes[-1])
        if error is not None:
            raise error


class Desk:
    """One operator at a server, with a clock of the test's own. Another Desk is another operator."""

    def __init__(self, server: Server, traces: Traces | None = None, **settings: Any) -> None:
        self.server = server
        self.now = BEGIN
        self.memory = Memory(lambda: self.now)
        self.registry = CollectorRegistry()
        chosen = Settings.model_validate({"missing_grace_seconds": 5.0} | settings)
        self.reconciler = Reconciler(
            server,
            self.memory,
            chosen,
            PriceFile(chosen.prices),
            Metrics(self.registry),
            lambda: self.now,
            traces,
        )

    def apply(self, name: str = "trial", **spec: Any) -> dict[str, Any]:
        self.server.put(EXPERIMENTS, "ns", experiment_body(name, **spec))
        return self.server.objects[EXPERIMENTS, "ns", name]

    def watch(self, *kinds: Resource) -> None:
        """See everything that the server has of these kinds, as a watch would tell it."""
        for what in kinds or (EXPERIMENTS, JOBS, PODS):
            for body in self.server.all(what):
                self.memory.see(what, copy.deepcopy(body))

    async def turn(self, name: str = "trial", after: float = 0.0) -> float | None:
        self.now += after
        return await self.reconciler.reconcile(("ns", name))

    async def look_and_turn(self, name: str = "trial", after: float = 0.0) -> float | None:
        self.watch()
        return await self.turn(name, after)

    async def refresh(self, name: str = "trial") -> None:
        await refresh(self.server, self.memory, ("ns", name))

    # --- playing the node ------------------------------------------------------------------------
    def job(self, round_name: str, attempt: int = 1) -> dict[str, Any]:
        for body in self.server.all(JOBS):
            labels = body["metadata"]["labels"]
            found = labels["ticketsmith.dev/round"], labels["ticketsmith.dev/attempt"]
            if found == (round_name, str(attempt)):
                return body
        raise LookupError(f"no Job of {round_name}, attempt {attempt}")

    def pod(self, round_name: str, attempt: int = 1, **state: Any) -> dict[str, Any]:
        """A Pod of that Job whose round's container is in this state."""
        job = self.job(round_name, attempt)
        name = f"{job['metadata']['name']}-pod"
        body = {
            "metadata": {
                "name": name,
                "labels": job["metadata"]["labels"]
                | {"batch.kubernetes.io/job-name": job["metadata"]["name"]},
            },
            "status": {"containerStatuses": [{"name": "round", "state": state}]},
        }
        if (PODS, "ns", name) in self.server.objects:
            known = self.server.objects[PODS, "ns", name]
            known["status"] = body["status"]
            self.server.change(known)
        else:
            self.server.put(PODS, "ns", body)
        return self.server.objects[PODS, "ns", name]

    def finish(self, round_name: str, attempt: int = 1, accuracy: float = 0.98) -> None:
        """The round does its duty: its Pod answers, its Job is complete."""
        self.answer(round_name, attempt, accuracy)
        self.conclude(round_name, attempt, "Complete")

    def answer(self, round_name: str, attempt: int = 1, accuracy: float = 0.98) -> None:
        """The round's Pod answers; its Job has not noticed yet."""
        said = answer(self.job(round_name, attempt), accuracy)
        self.pod(round_name, attempt, terminated=ended(0, said))

    def fail(self, round_name: str, attempt: int = 1, code: int = 1, message: str = "") -> None:
        self.pod(round_name, attempt, terminated=ended(code, message))
        self.conclude(round_name, attempt, "Failed")

    def conclude(self, round_name: str, attempt: int, verdict: str, reason: str = "") -> None:
        condition = {"type": verdict, "status": "True", "reason": reason}
        self.server.change(self.job(round_name, attempt), status={"conditions": [condition]})

    def remove(self, what: Resource, body: dict[str, Any]) -> None:
        """The object is gone, and the watch says so."""
        metadata = body["metadata"]
        del self.server.objects[what, "ns", metadata["name"]]
        self.memory.forget(what, body)

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.server.objects[EXPERIMENTS, "ns", "trial"].get("status") or {})

    def round(self, name: str) -> dict[str, Any]:
        return next(one for one in self.status["rounds"] if one["name"] == name)

    def jobs(self) -> list[str]:
        """Round and attempt of every Job that is not being deleted."""
        return [
            f"{labels['ticketsmith.dev/round']}/{labels['ticketsmith.dev/attempt']}"
            for body in self.server.all(JOBS)
            if "deletionTimestamp" not in body["metadata"]
            for labels in [body["metadata"]["labels"]]
        ]

    def told(self) -> list[str]:
        return [body["reason"] for body in self.server.all(EVENTS)]


def experiment_body(name: str = "trial", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": SPEC | spec,
    }


def ended(code: int, message: str = "", reason: str = "", seconds: int = 10) -> dict[str, Any]:
    return {
        "exitCode": code,
        "message": message,
        "reason": reason,
        "startedAt": "2025-06-15T00:00:00Z",
        "finishedAt": f"2025-06-15T00:00:{seconds:02d}Z",
    }


def answer(job: dict[str, Any], accuracy: float = 0.98) -> str:
    """What the round of this Job answers when it went well."""
    [container] = job["spec"]["template"]["spec"]["containers"]
    told = read_round(
        next(e["value"] for e in container["env"] if e["name"] == "TICKETSMITH_ROUND")
    )
    if told.kind != "train":
        return RoundResult(key=told.key, arm=told.kind).model_dump_json()
    metrics = dict.fromkeys(("accuracy", "valAccuracy"), accuracy) | {
        "loss": 0.1,
        "valLoss": 0.1,
    }
    return RoundResult(
        key=told.key,
        arm=told.arm,
        seed=told.seed,
        level=told.level,
        remaining=1000 - round(1000 * told.sparsity),
        prunable=1000,
        metrics=metrics,
    ).model_dump_json()


def _merge(body: dict[str, Any], patch: Any) -> None:
    for name, part in patch.items():
        if isinstance(part, dict) and isinstance(body.get(name), dict):
            _merge(body[name], part)
        elif part is None:
            body.pop(name, None)
        else:
            body[name] = copy.deepcopy(part)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def make_desk(server: Server) -> Callable[..., Desk]:
    def make(**settings: Any) -> Desk:
        return Desk(server, **settings)

    return make
