"""How fast is the operator, what does it cost, and how does both grow?

Everything runs on this machine: etcd and an API server of its own, the operator, and a player that completes each Job
through its status (spec.managedBy). A bare loop that only posts the next Job runs in the operator's place, for a floor.
Needs the programs of `make cluster-tools`.

    python benchmarks/operator_scale.py                   everything, about 12 minutes
    python benchmarks/operator_scale.py --quick           does it work? under a minute, its figures mean nothing
    python benchmarks/operator_scale.py --sizes 10 100    a part of the growth
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "cluster")]

from operator_scale.cases import chains, in_flight  # noqa: E402
from operator_scale.machine import environment  # noqa: E402
from operator_scale.report import page  # noqa: E402

SIZES = (10, 100, 1000, 5000)
PER_SECOND = 25.0
"""Rounds that end a second while experiments are in flight."""
LARGE = 1000
"""Above so many experiments, the part at saturation is cut short."""


async def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Every case, one after the other."""
    began = time.perf_counter()
    result: dict[str, Any] = {
        "command": " ".join(["python benchmarks/operator_scale.py", *sys.argv[1:]]),
        "environment": environment(),
        "seed": given.seed,
        "chains": given.chains,
        "step": given.step,
        "perSecond": PER_SECOND,
        "operator": {"timed": [], "saturated": []},
        "floor": {"timed": [], "saturated": []},
        "inFlight": [],
    }
    for repeat in range(max(given.repeats, given.saturations)):
        for contender in ("operator", "floor"):
            found = result[contender]
            if repeat < (given.repeats if contender == "operator" else 1):
                run = await chains(contender, given.chains, given.step, given.seed + repeat)
                found["timed"].append(told(f"{contender}, chains", run))
            if repeat < given.saturations:
                run = await chains(contender, given.chains, (0.0, 0.0), given.seed + repeat)
                found["saturated"].append(told(f"{contender}, saturated", run))
    for count in given.sizes:
        limit = given.limit if count <= LARGE else given.limit / 2
        one = await in_flight(count, PER_SECOND, given.window, limit, given.seed)
        result["inFlight"].append(one)
        for part in ("steady", "saturated"):
            told(f"{count} in flight, {part}", one[part])
        print(f"{count} in flight, start-up: {one['startUp']}", flush=True)
    result["minutes"] = (time.perf_counter() - began) / 60
    result["loadAverageAtEnd"] = os.getloadavg()[0]
    return result


def told(what: str, run: dict[str, Any]) -> dict[str, Any]:
    """The run, with a line about it printed."""
    gap, writes = run["gapSeconds"], run.get("writesPerRound", float("nan"))
    print(
        f"{what}: gap p50 {1000 * gap['p50']:.1f} ms, p99 {1000 * gap['p99']:.1f} ms; "
        f"{run['roundsPerSecond']:.1f} rounds/s, {writes:.2f} writes a round",
        flush=True,
    )
    return run


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `--quick` sets what else would be given one by one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--chains", type=int, default=200, help="chains started together (default: %(default)s)")
    add(
        "--step",
        type=float,
        nargs=2,
        default=[5.0, 15.0],
        metavar=("LOW", "HIGH"),
        help="seconds of a step, evenly drawn (default: 5 15)",
    )
    add("--repeats", type=int, default=2, help="runs of the chains (default: %(default)s)")
    add("--saturations", type=int, default=3, help="runs at saturation (default: %(default)s)")
    add(
        "--sizes",
        type=int,
        nargs="*",
        default=SIZES,
        help="experiments in flight (default: 10 to 5000)",
    )
    add("--window", type=float, default=30.0, help="seconds of steady work (default: %(default)s)")
    add(
        "--limit",
        type=float,
        default=90.0,
        help="seconds at saturation, at most (default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="of the steps' times (default: %(default)s)")
    add("--quick", action="store_true", help="few and short, to see that it works")
    add(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "operator_scale",
        help="results go to OUTPUT.json and OUTPUT.md (default: %(default)s)",
    )
    given = parser.parse_args(words)
    if given.quick:
        given.chains, given.step, given.repeats, given.saturations = 10, [0.2, 0.6], 1, 1
        given.sizes, given.window, given.limit = [10], 3.0, 12.0
    return given


def main() -> None:
    given = arguments()
    result = asyncio.run(measure(given))
    text = page(result)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    given.output.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
