"""A day of a busy cluster in minutes: 20,000 rounds, and something going wrong every few seconds.

A real API server, the Job controller and the scheduler; Pods are played, and a round takes 2 to 6 seconds where a
real one takes minutes. In the first half the operator is killed again and again. The process that begins the second
half has to live through everything else until the end: its memory is weighed. Each experiment that ends is held to
what the same one comes to without faults, and to what its containers really did. Needs the programs of
`make cluster-tools`.

    python benchmarks/soak.py               20,000 rounds in at least 24 minutes, 60 times as fast as a day
    python benchmarks/soak.py --quick       does it work? two minutes
    python benchmarks/soak.py --seed 2 --minutes 60 --rounds 50000
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "cluster")]

from control_plane import ControlPlane  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from faults.api import JOBS, Api  # noqa: E402
from faults.story import is_live  # noqa: E402
from operator_scale.cluster import cpu_seconds  # noqa: E402
from operator_scale.machine import environment  # noqa: E402
from soak.experiments import Experiments  # noqa: E402
from soak.faults import Trouble, World  # noqa: E402
from soak.figures import slope  # noqa: E402
from soak.node import SoakNode  # noqa: E402
from soak.operators import Operators, Weight  # noqa: E402
from soak.report import page, picture  # noqa: E402

NAMESPACES = [f"soak-{number}" for number in range(6)]
SPEED_UP = 60
"""A second here stands for a minute: rounds, the full listing, graces."""
ROUND_SECONDS = (2.0, 6.0)
FLAGS = {"resync_seconds": 5, "missing_grace_seconds": 1, "start_grace_seconds": 2}
TURN_SECONDS = 2.0
PATIENCE_SECONDS = 600.0
"""How long the last experiments may take once no more are applied and nothing goes wrong any more."""


def soak(given: argparse.Namespace) -> dict[str, Any]:
    """The whole of it."""
    dice = Random(given.seed)
    with _world(dice) as world:
        experiments = Experiments(
            world.api, world.node, NAMESPACES, world.disturbed, given.in_flight
        )
        print("Without faults first, for comparison ...", flush=True)
        experiments.learn()
        result = _measure(given, world, experiments)
        if result["broken"] or result["orphans"]:
            kept = given.output.with_suffix(".logs")
            kept.mkdir(parents=True, exist_ok=True)
            for log in world.proxy.kubeconfig.parent.glob("operator-*.log"):
                shutil.copy(log, kept)
            print(f"What the operators wrote is in {kept}.", flush=True)
        return result


@contextlib.contextmanager
def _world(dice: Random) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        plane = stack.enter_context(ControlPlane(folder / "plane"))
        plane.install_crds(ROOT / "crds")
        for name in NAMESPACES:
            plane.make_namespace(name)
        # Dice of its own: its draws come from another thread.
        node = stack.enter_context(
            SoakNode(plane.kubeconfig, folder / "node", ROUND_SECONDS, Random(dice.random()))
        )
        proxy = stack.enter_context(FaultProxy(plane.kubeconfig, folder))
        operators = stack.enter_context(Operators(proxy.kubeconfig, NAMESPACES, **FLAGS))
        api = Api(plane.kubeconfig)
        yield World(plane, api, proxy, node, operators, NAMESPACES, dice, set())


def _measure(given: argparse.Namespace, world: World, experiments: Experiments) -> dict[str, Any]:
    trouble, over = Trouble(world), threading.Event()
    began, judged = time.monotonic(), experiments.judged

    def elapsed() -> float:
        return time.monotonic() - began

    def is_young() -> bool:
        return elapsed() < 30 * given.minutes and judged.rounds < given.rounds / 2

    def go_wrong() -> None:
        while not over.wait(world.dice.uniform(*given.every)):
            trouble.strike(may_kill=is_young())

    troubling = threading.Thread(target=go_wrong, name="trouble", daemon=True)
    troubling.start()
    calls: Counter[str] = Counter()
    progress: list[tuple[float, int]] = []
    told = 0.0
    deadline = None
    while not (experiments.closed and experiments.living == 0):
        experiments.turn()
        calls.update(_taken(world.proxy))
        progress.append((elapsed(), judged.rounds))
        if elapsed() - told > 30:
            told = elapsed()
            print(_line(elapsed(), world, experiments, trouble), flush=True)
        if not experiments.closed and _is_enough(given, elapsed(), judged.rounds):
            over.set()
            troubling.join()
            experiments.close()
            deadline = time.monotonic() + PATIENCE_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            judged.broken.append(f"{experiments.living} experiments did not end")
            break
        time.sleep(TURN_SECONDS)
    _wait_for_judgement(experiments)
    judged.broken += world.operators.fallen
    orphans = _orphans(world.api)
    calls.update(_taken(world.proxy))
    return {
        "command": " ".join(["python benchmarks/soak.py", *sys.argv[1:]]),
        "environment": environment(),
        "seed": given.seed,
        "minutes": elapsed() / 60,
        "speedUp": SPEED_UP,
        "roundSeconds": ROUND_SECONDS,
        "every": given.every,
        "inFlight": given.in_flight,
        **asdict(judged),
        "orphans": orphans,
        "faults": dict(trouble.done),
        "operatorLives": world.operators.lives + 1,
        "calls": dict(calls),
        "cpuSeconds": world.operators.cpu_seconds
        + cpu_seconds(world.operators.current.process.pid),
        "mostMB": world.operators.most_mb,
        "lastLife": _last_life(given, world.operators.weights, progress),
        "weights": [
            (round(w.at), w.life, round(w.resident_mb, 1)) for w in world.operators.weights
        ],
        "progress": [(round(at), rounds) for at, rounds in progress],
        "loadAverageAtEnd": os.getloadavg()[0],
    }


def _is_enough(given: argparse.Namespace, seconds: float, rounds: int) -> bool:
    return rounds >= given.rounds and seconds >= 60 * given.minutes


def _last_life(
    given: argparse.Namespace, weights: list[Weight], progress: list[tuple[float, int]]
) -> dict[str, Any] | None:
    """How the last process's memory grew under load, and what it had in the end, when the load had gone."""
    closed = (at for at, rounds in progress if _is_enough(given, at, rounds))
    until = next(closed, weights[-1].at)
    mine = [one for one in weights if one.life == weights[-1].life]
    found = slope(one for one in mine if one.at < until)
    return None if found is None else asdict(found) | {"end_mb": mine[-1].resident_mb}


def _wait_for_judgement(experiments: Experiments) -> None:
    """The last to end are judged once their Jobs have settled."""
    before = -1
    while before != experiments.judged.experiments:
        before = experiments.judged.experiments
        time.sleep(3 * TURN_SECONDS)
        experiments.turn()


def _orphans(api: Api) -> list[str]:
    """Jobs that live on, a minute after all is over."""
    deadline = time.monotonic() + 60
    while left := [job["metadata"]["name"] for job in api.list(JOBS) if is_live(job)]:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    return left


def _taken(proxy: FaultProxy) -> Counter[str]:
    """What the operators asked for since the last time, by kind; the proxy forgets it."""
    taken, proxy.calls = proxy.calls, []
    proxy.events.clear()
    return Counter(f"{call.verb} {call.resource}" for call in taken)


def _line(seconds: float, world: World, experiments: Experiments, trouble: Trouble) -> str:
    judged, weights = experiments.judged, world.operators.weights
    return (
        f"{seconds / 60:5.1f} min: {judged.rounds} rounds of {judged.experiments} ended experiments,"
        f" {experiments.living} going, {len(world.node.history)} containers;"
        f" {trouble.done.total()} faults; operator {world.operators.lives + 1},"
        f" {weights[-1].resident_mb if weights else 0:.0f} MB; {len(judged.broken)} rules broken"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=20_000, help="at least so many (default: %(default)s)")
    add("--minutes", type=float, default=24.0, help="at least so many (default: %(default)s)")
    add("--in-flight", type=int, default=24, help="experiments at once (default: %(default)s)")
    add(
        "--every",
        type=float,
        nargs=2,
        default=[1.0, 4.0],
        metavar=("LOW", "HIGH"),
        help="seconds between the end of a fault and the next (default: 1 4)",
    )
    add("--seed", type=int, default=1, help="of the dice (default: %(default)s)")
    add("--quick", action="store_true", help="few and short, to see that it works")
    add(
        "--redraw",
        action="store_true",
        help="run nothing: write page and picture of OUTPUT.json anew",
    )
    add(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "soak",
        help="results go to OUTPUT.json, .md and .png (default: %(default)s)",
    )
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.minutes, given.in_flight = 100, 1.0, 6
    return given


def main() -> None:
    given = arguments()
    # The proxy's: that the API server is away is one of the faults.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    file = given.output.with_suffix(".json")
    if given.redraw:
        result = json.loads(file.read_text())
        weights = [Weight(*one) for one in result["weights"]]
        result["lastLife"] = _last_life(given, weights, result["progress"])
    else:
        result = soak(given)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    given.output.with_suffix(".md").write_text(page(result, given.output.with_suffix(".png").name))
    picture(result, given.output.with_suffix(".png"))
    print(given.output.with_suffix(".md").read_text())
    if result["broken"] or result["orphans"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
