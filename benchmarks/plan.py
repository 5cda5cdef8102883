"""How long one call of plan takes for an experiment of 1,000 rounds.

    python benchmarks/plan.py

The experiment is driven from start to end by a world in which every round succeeds; at a quarter, half and
three quarters of its history one call is timed many times, warm, with two rounds just finished. "from JSON" reads
the status from its JSON text first, as a driver that was just started does.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pydantic

from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.decision import Observed, Start, World
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import steps

RESULTS = Path(__file__).parent / "results" / "plan.json"
REPEATS = 200
PARALLELISM = 16
BEGIN = 1_750_000_000.0


def experiment() -> PruningExperiment:
    """10 seeds, each with 1 dense round and 33 levels of ticket and two controls; benchmark and report."""
    return PruningExperiment.model_validate(
        {
            "metadata": {"name": "thousand"},
            "spec": {
                "model": {"name": "lenet300"},
                "seeds": list(range(10)),
                "sparsities": {"rate": 0.1, "levels": 33},
                "limits": {"parallelism": PARALLELISM, "maxCost": "1000", "deadlineSeconds": 10**7},
            },
        }
    )


def world(now: float) -> World:
    return World(now=now, runner_version="1", machine="benchmark", capacity=PARALLELISM)


def finished(start: Start, began: float, now: float) -> Observed:
    """A round that went well, with figures of usual length."""
    told = start.round
    level = getattr(told, "level", 0)
    trains = told.kind == "train"
    figures = {"accuracy": 0.9812345678, "loss": 0.0612345678, "trainLoss": 0.0012345678}
    figures |= {"valAccuracy": 0.9798765432, "valLoss": 0.0687654321}
    result = RoundResult(
        key=told.key,
        arm=getattr(told, "arm", told.name),
        seed=getattr(told, "seed", None),
        level=level,
        remaining=round(266_200 * 0.9**level) if trains else None,
        prunable=266_200 if trains else None,
        metrics=figures if trains else {},
    )
    return Observed(told.name, start.attempt, "done", began, now, result)


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Milliseconds a call takes on the clock, and of the processor alone, which other processes do not stretch."""
    for _ in range(10):
        work()
    wall, processor_time = [], []
    for _ in range(REPEATS):
        begun, used = time.perf_counter(), time.process_time()
        work()
        processor_time.append((time.process_time() - used) * 1e3)
        wall.append((time.perf_counter() - begun) * 1e3)
    wall.sort()
    return {
        "median_ms": round(statistics.median(wall), 3),
        "p95_ms": round(wall[int(0.95 * REPEATS)], 3),
        "processor_median_ms": round(statistics.median(processor_time), 3),
    }


def main() -> None:
    asked = experiment()
    count = len(steps(asked.spec))
    marks = [count // 4, count // 2, 3 * count // 4]
    now, status, settled = BEGIN, None, 0
    running: list[tuple[Start, float]] = []
    rows = []
    largest = 0
    while status is None or status.phase not in {"Succeeded", "Failed"}:
        ended, running = running[:2], running[2:]
        now += 10.0
        observed = [
            *(finished(start, began, now) for start, began in ended),
            *(Observed(s.round.name, s.attempt, "running", began) for s, began in running),
        ]
        current = asked.model_copy(update={"status": status})
        decision = plan(current, observed, world(now))
        settled += len(ended)
        if marks and settled >= marks[0] and status is not None:
            marks.pop(0)
            text = status.model_dump_json(exclude_none=True)

            def from_json(
                text: str = text, seen: list[Observed] = observed, at: float = now
            ) -> None:
                read = Status.model_validate_json(text)
                plan(asked.model_copy(update={"status": read}), seen, world(at))

            rows.append(
                {
                    "settled": settled,
                    "plan": measure(lambda c=current, o=observed, n=now: plan(c, o, world(n))),
                    "plan_from_json": measure(from_json),
                    "status_bytes": len(text.encode()),
                }
            )
        running += [(start, now) for start in decision.start]
        status = decision.status
        largest = max(largest, len(status.model_dump_json(exclude_none=True).encode()))
    assert status.reason == "AllRoundsDone", status.message
    result = {
        "command": "python benchmarks/plan.py",
        "rounds": count,
        "repeats": REPEATS,
        "histories": rows,
        "largest_status_bytes": largest,
        "environment": {
            "python": platform.python_version(),
            "pydantic": pydantic.VERSION,
            "platform": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "load_average_1min": round(os.getloadavg()[0], 2),
        },
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def processor() -> str:
    """The processor's name as Linux tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
