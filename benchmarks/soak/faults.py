"""What goes wrong in the soak: every few seconds one thing off this list, drawn by the dice."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from control_plane import ControlPlane
from fault_proxy import Fault, FaultProxy
from faults.api import EXPERIMENTS, JOBS, MERGE, Api, where
from faults.injections import Flaky, MissedEvents, Refusals, Slow, StaleReads, WatchRefusals
from faults.story import is_live
from misbehaviour import Evict, Lose, Oom

from soak.node import SoakNode
from soak.operators import Operators
from ticketsmith_operator.names import UID_LABEL


@dataclass
class World:
    """All that can be troubled."""

    plane: ControlPlane
    api: Api
    proxy: FaultProxy
    node: SoakNode
    operators: Operators
    namespaces: list[str]
    dice: Random
    disturbed: set[str]
    """Experiments (uids) whose Jobs were deleted, by hand or by `suspend`: what their containers said may be lost."""


class Trouble:
    """Draws faults and carries them out, one at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.done: Counter[str] = Counter()
        """By name, how often each happened."""

    def strike(self, *, may_kill: bool) -> str:
        """Let one thing go wrong, see it through, and say which it was."""
        names = [name for name in FAULTS if may_kill or name not in DEADLY]
        weights = [FAULTS[name][0] for name in names]
        (name,) = self._world.dice.choices(names, weights)
        # The API server may be on its way down or up: then this one has no effect.
        with contextlib.suppress(OSError, AssertionError):
            FAULTS[name][1](self._world)
            self.done[name] += 1
        return name


def _for_a_while(world: World, fault: Fault, low: float = 1.0, high: float = 4.0) -> None:
    """On the whole connection between operator and API server."""
    world.proxy.faults[None] = fault
    time.sleep(world.dice.uniform(low, high))
    del world.proxy.faults[None]


def _flaky(world: World) -> None:
    _for_a_while(world, Flaky(0.33, (429, 500, 503), world.dice))


def _slow(world: World) -> None:
    _for_a_while(world, Slow(world.dice.uniform(0.3, 2.0)))


def _missed(world: World) -> None:
    _for_a_while(world, MissedEvents(lambda _number, _event: world.dice.random() < 0.3))


def _stale(world: World) -> None:
    back = world.dice.randint(1, 60)
    _for_a_while(world, StaleReads(back, lambda call: call.verb == "get"))


def _watch_refused(world: World) -> None:
    code, in_stream = world.dice.choice((410, 500)), world.dice.random() < 0.5
    fault = WatchRefusals(world.dice.randint(1, 6), code, in_stream)
    world.proxy.faults[None] = fault
    world.proxy.break_watches()
    time.sleep(2)
    del world.proxy.faults[None]


def _answers_lost(world: World) -> None:
    """A third of the writes are carried out, and the operator is told otherwise, or the reverse."""
    namespace = world.dice.choice(world.namespaces)
    code = world.dice.choice((409, 410, 429, 500, 503))
    every_third = range(0, 1_000_000_000, 3)
    world.proxy.faults[namespace] = Refusals(code, every_third, done=world.dice.random() < 0.5)
    time.sleep(world.dice.uniform(1, 4))
    del world.proxy.faults[namespace]


def _two(world: World) -> None:
    second = world.operators.another()
    try:
        time.sleep(world.dice.uniform(4, 10))
    finally:
        second.kill()


def _restart_server(world: World) -> None:
    world.plane.stop_api_server()
    world.plane.start_api_server()


def _delete_job(world: World) -> None:
    running = [job for job in world.api.list(JOBS) if is_live(job)]
    if running:
        metadata = world.dice.choice(running)["metadata"]
        world.disturbed.add(metadata["labels"][UID_LABEL])
        path = where(JOBS, metadata["namespace"], metadata["name"])
        world.api.ask("DELETE", path, {"propagationPolicy": "Background"})


def _suspend(world: World) -> None:
    metadata = _running(world)
    if metadata is not None:
        world.disturbed.add(metadata["uid"])
        path = where(EXPERIMENTS, metadata["namespace"], metadata["name"])
        world.api.ask("PATCH", path, {"spec": {"suspend": True}}, MERGE)
        time.sleep(world.dice.uniform(0.2, 3))
        while _refused(world.api, path, {"spec": {"suspend": False}}):
            time.sleep(1)


def _limits(world: World) -> None:
    metadata = _running(world)
    if metadata is not None:
        path = where(EXPERIMENTS, metadata["namespace"], metadata["name"])
        limits = {"parallelism": world.dice.randint(1, 8)}
        world.api.ask("PATCH", path, {"spec": {"limits": limits}}, MERGE)


def _running(world: World) -> Any:
    found = [
        e for e in world.api.list(EXPERIMENTS) if e.get("status", {}).get("phase") == "Running"
    ]
    return world.dice.choice(found)["metadata"] if found else None


def _refused(api: Api, path: str, patch: Any) -> bool:
    try:
        return api.ask("PATCH", path, patch, MERGE)[0] >= 500
    except OSError:
        return True


def _spoil(world: World) -> None:
    world.node.to_spoil = world.dice.randint(1, 4)


FAULTS: dict[str, tuple[float, Callable[[World], object]]] = {
    "operator killed (-9)": (4, lambda world: world.operators.kill()),
    "operator told to end": (2, lambda world: world.operators.terminate()),
    "a second operator beside it": (2, _two),
    "API server restarted": (0.5, _restart_server),
    "watches cut": (2, lambda world: world.proxy.break_watches()),
    "watches refused (410, 500)": (2, _watch_refused),
    "a third of all calls failing": (2, _flaky),
    "a third of the writes refused, or their answer lost": (3, _answers_lost),
    "reads from the past": (2, _stale),
    "a third of the events missed": (3, _missed),
    "0.3 to 2 s a call": (1, _slow),
    "Pod evicted": (3, lambda world: world.node.strike(Evict(), world.dice)),
    "container out of memory": (2, lambda world: world.node.strike(Oom(), world.dice)),
    "Pod lost": (2, lambda world: world.node.strike(Lose(), world.dice)),
    "wrong answers": (3, _spoil),
    "Job deleted by hand": (2, _delete_job),
    "experiment suspended and resumed": (2, _suspend),
    "parallelism changed": (2, _limits),
}
"""How often each comes, relative to the others, and what it does."""
DEADLY = frozenset({"operator killed (-9)", "operator told to end"})
