"""One attempt at a round: a process that carries it out, and what the driver sees of it."""

import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from ticketsmith.experiment.contract import (
    BenchmarkRound,
    ReportRound,
    RoundError,
    RoundResult,
    TrainRound,
)
from ticketsmith.experiment.decision import Observed, Start
from ticketsmith.experiment.results import Progress
from ticketsmith.local.children import context, send_output_to, spawn
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store

Round = TrainRound | BenchmarkRound | ReportRound
Execute = Callable[[Round, Store, Callable[[Progress], None]], tuple[int, RoundResult | RoundError]]
"""What carries out a round: ticketsmith.round.run_round, or a stand-in for it in tests."""

GRACE_SECONDS = 30.0
"""What a round that is asked to stop gets for its checkpoint before it is killed."""
_TOLD_TO_STOP = {-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT}
"""Exit codes of a round that somebody told to stop: before it listens, and after."""


class Attempt:
    """A started attempt. It has news when one of `signs` is readable; `look` takes them in."""

    def __init__(
        self, start: Start, execute: Execute, store: str, threads: int, log: Path, now: float
    ) -> None:
        self.start = start
        self.started_at = now
        self._log = log
        self.kill_at: float | None = None
        """When it is killed if it has not stopped by then; None while nobody waits for that."""
        self._stopping = False
        self._answer: RoundResult | RoundError | None = None
        self._news, send = context().Pipe(duplex=False)
        self._open = True
        self._process = spawn(_carry_out, execute, start.round, store, threads, log, send)
        send.close()  # the child's end is now the only one, so its death is an end of file here

    @property
    def signs(self) -> list[Connection | int]:
        return [self._process.sentinel, *([self._news] if self._open else [])]

    def stop(self, now: float) -> None:
        """Ask it to keep a checkpoint and end."""
        if not self._stopping:
            self._stopping, self.kill_at = True, now + GRACE_SECONDS
            self._process.terminate()

    def kill(self) -> None:
        """End it now; what came after its last checkpoint is lost."""
        self._stopping, self.kill_at = True, None
        self._process.kill()

    def running(self) -> Observed:
        """It, as it is seen right after its start."""
        return Observed(
            self.start.round.name, self.start.attempt, "running", started_at=self.started_at
        )

    def look(self, now: float) -> tuple[list[Progress], Observed | None]:
        """What it told since the last look, and how it ended if it did."""
        # Whether it ended is asked first: what it said last is then surely in the pipe already.
        ended = self._process.exitcode is not None
        told = self._take_in()
        if not ended:
            return told, None
        self._process.join()
        self._news.close()
        return told, self._ended(self._process.exitcode or 0, now)

    def _take_in(self) -> list[Progress]:
        told = []
        try:
            while self._open and self._news.poll():
                message = self._news.recv()
                if isinstance(message, Progress):
                    told.append(message)
                else:
                    self._answer = message
        except (EOFError, OSError):
            self._open = False
        return told

    def _ended(self, code: int, now: float) -> Observed:
        name, attempt, answer = self.start.round.name, self.start.attempt, self._answer
        if isinstance(answer, RoundResult):
            return Observed(name, attempt, "done", self.started_at, now, answer, 0)
        if self._stopping or code in _TOLD_TO_STOP:
            return Observed(name, attempt, "interrupted", self.started_at, now, None, code)
        message = None if answer else _last_words(code, self._log)
        return Observed(name, attempt, "failed", self.started_at, now, answer, code, message)


def _last_words(code: int, log: Path) -> str:
    if code == -signal.SIGKILL:
        return (
            "its process was killed (SIGKILL), as the system does when memory runs out: "
            "lower --parallelism or training.batchSize if that is so"
        )
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}; see {log}"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    words = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return f"its process ended with exit code {code}: {words[:300]}; see {log}"


def _carry_out(
    execute: Execute, told: Round, store: str, threads: int, log: Path, send: Connection
) -> None:
    """What the child does."""
    from ticketsmith.engine.device import THREADS_VARIABLE  # torch: never in the driver

    send_output_to(log)
    os.environ[THREADS_VARIABLE] = str(threads)
    code, answer = execute(told, open_store(store), _teller(send))
    send.send(answer)
    sys.exit(code)


def _teller(send: Connection) -> Callable[[Progress], None]:
    """Tell the driver, and keep a line in the log for every evaluation and change of activity."""
    last: tuple[str, float | None] | None = None

    def tell(progress: Progress) -> None:
        nonlocal last
        if last != (progress.doing, progress.accuracy):
            last = (progress.doing, progress.accuracy)
            sys.stdout.write(progress.model_dump_json(exclude_none=True) + "\n")
        send.send(progress)

    return tell
