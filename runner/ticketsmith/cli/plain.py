"""A run as plain lines: for logs, pipes and screens that do not move."""

import time
from collections.abc import Callable

from ticketsmith.cli.pace import Pace
from ticketsmith.cli.words import duration, percent
from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import Step

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

    def started(self, step: Step, attempt: int) -> None:
        """See View.started."""
        again = f" (attempt {attempt})" if attempt > 1 else ""
        sparsity = percent(step.sparsity or 0.0)
        self._told[step.name] = self._now()
        if not step.trains:
            self._write(f"{step.name} | started{again}")
        elif step.arm == "ticket":
            self._write(
                f"{step.name} | Pruning iteration {step.level} (sparsity: {sparsity})...{again}"
            )
        else:
            at = f" at sparsity {sparsity}" if step.level else ""
            self._write(f"{step.name} | Training{at}...{again}")

    def progressed(self, progress: Progress) -> None:
        """See View.progressed."""
        name, now = progress.round, self._now()
        if progress.accuracy is None or progress.doing != "training":
            return
        last = progress.iteration == progress.iterations
        if not last and now - self._told.get(name, now) < QUIET_SECONDS:
            return
        self._told[name] = now
        self._write(progress_line(progress))

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


def progress_line(progress: Progress) -> str:
    """ticket-s0-l02 | Epoch 3/20 | Loss: 0.243 | Val Acc: 85.3%, as far as it is known; or what else is done."""
    if progress.doing != "training":
        return f"{progress.round} | {progress.doing.capitalize()}"
    parts = [progress.round, f"Epoch {progress.epoch:.3g}/{progress.epochs:.3g}"]
    if progress.loss is not None:
        parts.append(f"Loss: {progress.loss:.3f}")
    if progress.accuracy is not None:
        parts.append(f"Val Acc: {percent(progress.accuracy)}")
    return " | ".join(parts)


def done_line(seen: Observed, result: RoundResult, status: Status) -> str:
    """Done in 1.2 s | Sparsity: 48.8% (1,234 of 2,410 weights removed) | Test Acc: 97.5% | Gate: passed."""
    took = (seen.finished_at or 0.0) - (seen.started_at or 0.0)
    parts = [f"Done in {duration(took)}"]
    known = next((known for known in status.rounds if known.name == seen.name), None)
    sparsity = result.sparsity or (known.sparsity if known else None)
    if result.level and sparsity:
        parts.append(f"Sparsity: {percent(sparsity)}{_counts(result)}")
    if "accuracy" in result.metrics:
        parts.append(f"Test Acc: {percent(result.metrics['accuracy'])}")
    if known and known.gate:
        parts.append(f"Gate: {known.gate}")
    return " | ".join(parts)


def _counts(result: RoundResult) -> str:
    """How many weights that is; a cluster's status does not say."""
    if not result.prunable or result.remaining is None:
        return ""
    return f" ({result.prunable - result.remaining:,} of {result.prunable:,} weights removed)"


def share(status: Status) -> tuple[int, int]:
    """(rounds settled, rounds planned) from progress, e.g. 7/12."""
    settled, _, planned = (status.progress or "0/0").partition("/")
    return int(settled), int(planned)
