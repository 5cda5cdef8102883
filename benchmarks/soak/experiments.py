"""The experiments of the soak: kept in flight, judged as they end, then deleted."""

import contextlib
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from faults.api import EXPERIMENTS, JOBS, MERGE, Api, where
from faults.story import broken_rules, essence, is_live
from pod_history import Ran

from soak.node import SoakNode
from ticketsmith.experiment import ledger
from ticketsmith.experiment.status import RoundStatus
from ticketsmith_operator.names import UID_LABEL

COMMON: Mapping[str, Any] = {
    "model": {"name": "lenet300"},
    "artifacts": {"uri": "gs://nowhere/soak"},
    "benchmark": None,
}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "two seeds, both controls": {
        "sparsities": {"final": 0.9, "levels": 6},
        "seeds": [0, 1],
        "limits": {"parallelism": 4, "retries": 100},
    },
    "three seeds, timed": {
        "sparsities": {"final": 0.8, "levels": 4},
        "controls": ["reinit"],
        "benchmark": {"batchSizes": [1]},
        "limits": {"parallelism": 4, "retries": 100},
    },
    "stopped by its gate": {
        "sparsities": {"targets": [0.5, 0.8, 0.95, 0.98]},
        "gates": [{"metric": "accuracy", "maxDrop": 0.005}],
        "limits": {"parallelism": 4, "retries": 100},
    },
    "ten seeds, ten levels": {
        "sparsities": {"final": 0.95, "levels": 10},
        "seeds": list(range(10)),
        "limits": {"parallelism": 8, "retries": 100},
    },
}
ORDER = (0, 1, 2, 0, 1, 3)
"""Shapes, one after the other, again and again."""


@dataclass
class Judged:
    """What came of all the experiments that ended."""

    experiments: int = 0
    rounds: int = 0
    """Rounds done, each counted once."""
    containers: int = 0
    attempts: int = 0
    repeated: int = 0
    """Rounds begun again although a container had answered: its answer was lost with a Job that was deleted."""
    largest_status: int = 0
    """Bytes of JSON."""
    ended: dict[str, int] = field(default_factory=dict)
    """By phase and reason."""
    broken: list[str] = field(default_factory=list)
    """Every rule that did not hold, as a sentence. There must be none."""


class Experiments:
    """`turn` is called again and again; it keeps `in_flight` of them going until `closed`."""

    def __init__(
        self, api: Api, node: SoakNode, namespaces: list[str], disturbed: set[str], in_flight: int
    ) -> None:
        self.judged = Judged()
        self.closed = False
        self.living = 0
        self._api = api
        self._node = node
        self._disturbed = disturbed
        self._in_flight = in_flight
        self._reference: dict[str, Any] = {}
        self._next = self._documents(namespaces)
        self._seen = 0
        self._ran: dict[str, list[Ran]] = defaultdict(list)

    def learn(self, seconds: float = 600.0) -> None:
        """Run one of each shape while nothing goes wrong: what the others are compared with."""
        deadline = time.monotonic() + seconds
        namespace = "soak-0"
        for number, (shape, spec) in enumerate(SHAPES.items()):
            hasty = {**spec, "limits": {"parallelism": 64}}
            self._apply(_document(f"reference-{number}", namespace, shape, hasty))
        while len(self._reference) < len(SHAPES):
            if time.monotonic() > deadline:
                raise TimeoutError("the experiments without faults did not end")
            time.sleep(1)
            for one in self._api.list(EXPERIMENTS, namespace):
                shape = one["metadata"]["annotations"]["shape"]
                if has_ended(one) and shape not in self._reference:
                    self._reference[shape] = outcome(one["status"])
                    self._delete(one)

    def close(self) -> None:
        """Apply no more; give those that go on room, so that none is left with one place."""
        self.closed = True
        with contextlib.suppress(OSError, AssertionError):
            for one in self._api.list(EXPERIMENTS):
                metadata = one["metadata"]
                path = where(EXPERIMENTS, metadata["namespace"], metadata["name"])
                self._api.ask("PATCH", path, {"spec": {"limits": {"parallelism": 8}}}, MERGE)

    def turn(self) -> None:
        """Judge what has ended and apply what comes next. Nothing happens while the API server is away."""
        with contextlib.suppress(OSError, AssertionError):
            found = self._api.list(EXPERIMENTS)
            going = [one for one in found if not one["metadata"].get("deletionTimestamp")]
            ended = [one for one in going if has_ended(one)]
            self.living = len(going) - len(ended)
            for _ in range(0 if self.closed else self._in_flight - self.living):
                self._apply(next(self._next))
            for one in ended:
                self._judge(one)

    def _judge(self, one: Any) -> None:
        metadata, status = one["metadata"], one["status"]
        uid = metadata["uid"]
        jobs = self._api.list(JOBS, metadata["namespace"], labelSelector=f"{UID_LABEL}={uid}")
        if any(is_live(job) for job in jobs):
            return  # its last Jobs are on their way out; the next turn looks again
        ours = self._containers(uid)
        found = broken_rules(one, jobs, ours, once=False)
        repeated = _repeated(ours, self._node.spoilt)
        if repeated and uid not in self._disturbed:
            story = "; ".join(_told(ran) for ran in ours if ran.round in repeated)
            found.append(f"begun again after their answers: {story}")
        shape = metadata["annotations"]["shape"]
        came_to = outcome(status)
        never = came_to["rounds"].keys() - {ran.round for ran in ours}
        found += [f"{name} is done but never ran" for name in sorted(never)]
        if came_to != self._reference[shape]:
            found.append(_difference(came_to, self._reference[shape]))
        judged = self.judged
        for sentence in found:
            judged.broken.append(f"{metadata['name']} ({shape}): {sentence}")
            print(judged.broken[-1], flush=True)  # at once: an hour's run may be cut short
        judged.experiments += 1
        judged.rounds += len({ran.round for ran in ours})
        judged.containers += len(ours)
        judged.attempts += sum(line.get("attempts", 0) for line in status["rounds"])
        judged.repeated += len(repeated)
        judged.largest_status = max(judged.largest_status, len(json.dumps(status)))
        ending = f"{status['phase']}/{status.get('reason')}"
        judged.ended[ending] = judged.ended.get(ending, 0) + 1
        self._delete(one)

    def _containers(self, uid: str) -> list[Ran]:
        """Those of one experiment; the node's history is sorted as it grows."""
        history = self._node.history
        for ran in history[self._seen : (end := len(history))]:
            self._ran[ran.experiment].append(ran)
        self._seen = end
        return self._ran.get(uid, [])

    def _apply(self, document: Mapping[str, Any]) -> None:
        self._api.must("POST", where(EXPERIMENTS, document["metadata"]["namespace"]), document)

    def _delete(self, one: Any) -> None:
        metadata = one["metadata"]
        path = where(EXPERIMENTS, metadata["namespace"], metadata["name"])
        self._api.ask("DELETE", path, {"propagationPolicy": "Background"})

    @staticmethod
    def _documents(namespaces: list[str]) -> Iterator[Mapping[str, Any]]:
        shapes = list(SHAPES.items())
        order = itertools.cycle(ORDER)
        for number, namespace in enumerate(itertools.cycle(namespaces)):
            yield _document(f"soak-{number}", namespace, *shapes[next(order)])


def has_ended(experiment: Any) -> bool:
    """Whether its phase is a last one."""
    return experiment.get("status", {}).get("phase") in ("Succeeded", "Failed")


def outcome(status: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs of one experiment must agree on. Which rounds stand in detail and which in the ledger depends on
    their order, so each is a line here, without its time and attempts."""
    lines = [ledger.write(RoundStatus.model_validate(one), "accuracy") for one in status["rounds"]]
    rounds = {}
    for line in (*lines, *status.get("ledger", ())):
        name, *words = line.split()
        rounds[name] = [word for word in words if word[0] not in "tx"]
    if "report" in rounds:
        rounds["report"] = rounds["report"][:1]  # its key covers times and attempts
    return essence(status) | {"rounds": rounds}


def _repeated(ours: list[Ran], spoilt: set[str]) -> list[str]:
    """Rounds for which a container was started after another had answered."""
    answered: dict[str, float] = {}
    for ran in ours:
        if ran.exit == 0 and ran.ended is not None and ran.pod_uid not in spoilt:
            answered[ran.round] = min(ran.ended, answered.get(ran.round, ran.ended))
    return sorted({ran.round for ran in ours if ran.started > answered.get(ran.round, ran.started)})


def _told(ran: Ran) -> str:
    begun, ended = (
        time.strftime("%H:%M:%S", time.gmtime(at or 0.0)) for at in (ran.started, ran.ended)
    )
    return f"{ran.round} attempt {ran.attempt} {begun} to {ended}, exit {ran.exit}"


def _document(name: str, namespace: str, shape: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"shape": shape}},
        "spec": {**COMMON, **spec},
    }


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    told = []
    for name in ours:
        here, there = ours[name], theirs.get(name)
        if isinstance(here, dict) and isinstance(there, dict):
            unlike = [key for key in here | there if here.get(key) != there.get(key)]
            here, there = ({key: one.get(key) for key in unlike[:3]} for one in (here, there))
        if here != there:
            told.append(f"{name}: {str(here)[:300]}, without faults {str(there)[:300]}")
    return "; ".join(told)
