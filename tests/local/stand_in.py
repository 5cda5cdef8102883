"""A stand-in for ticketsmith.round.run_round: counts steps instead of training. Children import it by name.

spec.model.options tell it what to do: steps, seconds (of a step) and trouble: {round name: [what happens at its
first attempt, at its second, ...]} with kill, raise, exit:N, stubborn or ok. meet: dense rounds wait until so many
have begun. Tickets hold half-way while there is a file `hold` beside the store.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ticketsmith.experiment.contract import RoundError, RoundResult, TrainRound
from ticketsmith.experiment.results import RESULT, Progress
from ticketsmith.local.attempt import Round
from ticketsmith.stores.base import Store
from ticketsmith.stores.directory import DirectoryStore

COUNT = "count"
CALLS = "calls.log"


class Stopped(Exception):
    pass


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def execute(
    told: Round, store: Store, progress: Callable[[Progress], None]
) -> tuple[int, RoundResult | RoundError]:
    """Count to `steps`, keeping the count; answer with an accuracy that falls with the level."""
    assert isinstance(store, DirectoryStore)
    options = told.model.options if isinstance(told, TrainRound) else {}
    note(store, told.name, "begins")
    done = store.read_text(told.key, RESULT)
    if done is not None:
        return 0, RoundResult.model_validate_json(done)
    earlier = [line for line in calls(store.root.parent) if line[:2] == [told.name, "begins"]]
    plans = options.get("trouble", {}).get(told.name, [])
    trouble = plans[len(earlier) - 1] if len(earlier) <= len(plans) else "ok"
    signal.signal(signal.SIGTERM, signal.SIG_IGN if trouble == "stubborn" else _stop)
    count = int(store.read_text(told.key, COUNT) or 0)
    steps = int(options.get("steps", 2))
    try:
        note(store, told.name, f"from={count}")
        while told.name.startswith("dense") and len(_begun(store)) < options.get("meet", 0):
            time.sleep(0.01)
        while count < steps:
            if told.name.startswith("ticket") and count == steps // 2:
                _hold(store, told.name)
            time.sleep(float(options.get("seconds", 0.0)))
            count += 1
            counted = store.scratch(told.key) / COUNT
            counted.write_text(str(count))
            store.put(told.key, COUNT, counted)
            progress(
                Progress(
                    round=told.name, doing="training", iteration=count, iterations=steps,
                    epoch=count, epochs=steps, loss=1.0 / count, accuracy=0.5 + 0.1 * count / steps,
                )
            )  # fmt: skip
    except Stopped:
        note(store, told.name, "stops")
        return 143, RoundError(exit_code=143, message="stopped after a checkpoint")
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "raise":
        raise RuntimeError("the stand-in was told to break")
    if trouble.startswith("exit:"):
        sys.exit(int(trouble.removeprefix("exit:")))
    result = _result(told)
    store.create_text(told.key, RESULT, result.model_dump_json())
    note(store, told.name, "ends")
    return 0, result


def _result(told: Round) -> RoundResult:
    if not isinstance(told, TrainRound):
        return RoundResult(key=told.key, arm="report" if told.kind == "report" else "benchmark")
    accuracy = 0.95 - 0.01 * told.level - (0.0 if told.arm in ("dense", "ticket") else 0.05)
    return RoundResult(
        key=told.key,
        arm=told.arm,
        seed=told.seed,
        level=told.level,
        remaining=round(1000 * (1 - told.sparsity)),
        prunable=1000,
        parameters=1010,
        metrics={"accuracy": accuracy, "valAccuracy": accuracy, "loss": 0.1, "valLoss": 0.1},
        duration_seconds=0.01,
    )


def _hold(store: DirectoryStore, name: str) -> None:
    """Wait for as long as there is a file named hold beside the store."""
    hold = store.root.parent / "hold"
    if hold.exists():
        note(store, name, "holds")
    while hold.exists():
        time.sleep(0.01)


def _begun(store: DirectoryStore) -> set[str]:
    return {call[0] for call in calls(store.root.parent) if call[1] == "begins"}


def note(store: DirectoryStore, name: str, what: str) -> None:
    """A line: round, what, when, process, threads."""
    threads = os.environ.get("TICKETSMITH_THREADS", "-")
    with (store.root.parent / CALLS).open("a") as stream:
        stream.write(f"{name} {what} {time.time():.6f} {os.getpid()} {threads}\n")


def calls(runs: Path) -> list[list[str]]:
    """What the rounds noted, in order."""
    file = runs / CALLS
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []
