"""A run as plain lines: for logs, pipes and screens that do not move."""

import time
from collections.abc import Callable

from ticketsmith.cli.pace import Pace
from ticketsmith.cli.words import duration, percent
from ticketsmith.experiment.contract import RoundResult, TrainRound
from ticketsmith.experiment.decision import Event, Observed, Start
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import Status

QUIET_SECONDS = 5.0
"""A round tells of its epochs at most this often, and always of the last."""
TOLD_OTHERWISE = {"RoundStarted", "RoundDone", "Completed", "Failed"}
"""Events whose content is shown by other lines."""


class PlainView:
    """Lines that say what began, how it goes and what came of it."""

    def __init__(
        self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._now = now
        self._told: dict[str, float] = {}
        self._pace = Pace()
        self._ended: list[Observed] = []

    def started(self, start: Start) -> None:
        """See View.started."""
        told = start.round
        again = f" (attempt {start.attempt})" if start.attempt > 1 else ""
        self._told[told.name] = self._now()
        if not isinstance(told, TrainRound):
            self._write(f"{told.name} | started{again}")
        elif told.arm == "ticket":
            self._write(
                f"{told.name} | Pruning iteration {told.level} (sparsity: {percent(told.sparsity)})...{again}"
            )
        else:
            at = f" at sparsity {percent(told.sparsity)}" if told.level else ""
            self._write(f"{told.name} | Training{at}...{again}")

    def progressed(self, progress: Progress) -> None:
        """See View.progressed."""
        name, now = progress.round, self._now()
        if progress.accuracy is None or progress.doing != "training":
            return
        last = progress.iteration == progress.iterations
        if not last and now - self._told.get(name, now) < QUIET_SECONDS:
            return
        self._told[name] = now
        self._write(f"{name} | {epoch_line(progress)}")

    def ended(self, seen: Observed) -> None:
        """See View.ended."""
        self._ended.append(seen)

    def decided(self, status: Status) -> None:
        """See View.decided."""
        settled, planned = share(status)
        left = self._pace.left(settled / planned, self._now()) if planned else None
        whole = f"{settled}/{planned} rounds" + (f", about {duration(left)} left" if left else "")
        for seen in self._ended:
            if isinstance(seen.answer, RoundResult):
                self._write(f"{seen.name} | {done_line(seen, seen.answer, status)} | {whole}")
        self._ended.clear()

    def happened(self, event: Event) -> None:
        """See View.happened."""
        if event.reason not in TOLD_OTHERWISE:
            self._write(f"{event.reason}: {event.message}")

    def stopping(self, signal_name: str) -> None:
        """See View.stopping."""
        self._write(
            f"{signal_name}: stopping; running rounds keep a checkpoint (once more: at once)"
        )


def epoch_line(progress: Progress) -> str:
    """Epoch 3/20 | Loss: 0.243 | Val Acc: 85.3%, as far as it is known."""
    parts = [f"Epoch {progress.epoch:.3g}/{progress.epochs:.3g}"]
    if progress.loss is not None:
        parts.append(f"Loss: {progress.loss:.3f}")
    if progress.accuracy is not None:
        parts.append(f"Val Acc: {percent(progress.accuracy)}")
    return " | ".join(parts)


def done_line(seen: Observed, result: RoundResult, status: Status) -> str:
    """Done in 1.2 s | Sparsity: 48.8% (1,234 of 2,410 weights removed) | Test Acc: 97.5% | Gate: passed."""
    took = (seen.finished_at or 0.0) - (seen.started_at or 0.0)
    parts = [f"Done in {duration(took)}"]
    if result.level and result.sparsity and result.prunable and result.remaining is not None:
        removed = result.prunable - result.remaining
        parts.append(
            f"Sparsity: {percent(result.sparsity)} ({removed:,} of {result.prunable:,} weights removed)"
        )
    if "accuracy" in result.metrics:
        parts.append(f"Test Acc: {percent(result.metrics['accuracy'])}")
    known = next((known for known in status.rounds if known.name == seen.name), None)
    if known and known.gate:
        parts.append(f"Gate: {known.gate}")
    return " | ".join(parts)


def share(status: Status) -> tuple[int, int]:
    """(rounds settled, rounds planned) from progress, e.g. 7/12."""
    settled, _, planned = (status.progress or "0/0").partition("/")
    return int(settled), int(planned)
