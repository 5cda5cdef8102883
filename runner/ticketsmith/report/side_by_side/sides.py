"""One experiment as a comparison sees it: its levels, and where its figures come from. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ticketsmith.experiment.levels import Level, Measure, levels
from ticketsmith.experiment.results import Environment
from ticketsmith.experiment.status import RoundStatus
from ticketsmith.report.findings import Row, rows, smallest_batch
from ticketsmith.report.runs import Round, Run
from ticketsmith.report.telling import best_row


@dataclass(frozen=True, slots=True)
class Side:
    """One experiment, read for one measure of quality."""

    run: Run
    reference: str
    """What whoever compares called it."""
    measure: Measure
    levels: tuple[Level, ...]
    """Dense first, then the tickets, ever sparser; those without a measured round are left out."""
    rows: tuple[Row, ...]
    """What a report is made from; empty where the store could not be read."""

    @property
    def label(self) -> str:
        return self.run.label

    @property
    def dense(self) -> Level | None:
        return next((one for one in self.levels if one.level == 0), None)

    @property
    def tickets(self) -> tuple[Level, ...]:
        return tuple(one for one in self.levels if one.level > 0)

    @property
    def best(self) -> Level | None:
        """The level it stands for."""
        best = self.run.status.best
        return next((one for one in self.tickets if best and one.level == best.level), None)

    @property
    def best_row(self) -> Row | None:
        """The same with its timings, where the store could be read."""
        return best_row(self.run, self.rows)

    @property
    def batch_size(self) -> int | None:
        """The smallest that was timed."""
        return smallest_batch(self.run)

    @property
    def timed_on(self) -> tuple[str, ...]:
        """Machines of the benchmark."""
        return _distinct(machine(one.environment) for one in self.run.benchmarks)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Devices of the rounds."""
        return _distinct(one.device for one in self._environments())

    @property
    def torch(self) -> tuple[str, ...]:
        """Versions of PyTorch the rounds ran with."""
        return _distinct(_torch(one) for one in self._environments())

    @property
    def ticketsmith(self) -> tuple[str, ...]:
        return _distinct(one.ticketsmith for one in self._environments())

    @property
    def wall_seconds(self) -> float | None:
        """From the first round's start to the end; None where it has not ended."""
        status = self.run.status
        if status.started_at is None or status.finished_at is None:
            return None
        begun, ended = map(datetime.fromisoformat, (status.started_at, status.finished_at))
        return (ended - begun).total_seconds()

    def _environments(self) -> Sequence[Environment]:
        return [known.environment for known in self.run.rounds if known.environment]


def side(run: Run, reference: str, measure: Measure) -> Side:
    """Read a run: each round's own result where it is at hand, else what the status kept of it."""
    told = levels((_told(known) for known in run.rounds), measure)
    return Side(run, reference, measure, tuple(told), tuple(rows(run)))


def machine(environment: Environment) -> str:
    """What decides a timing, in words."""
    gpus = f" x{environment.gpus}" if environment.gpus > 1 else ""
    threads = f"{environment.threads} thread" + "s" * (environment.threads != 1)
    parts = [environment.device + gpus, environment.processor, threads]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _told(known: Round) -> RoundStatus:
    """The ledger keeps one metric, rounded; the result keeps them all."""
    if known.result is None:
        return known.status
    figures = {"metrics": known.result.metrics, "sparsity": known.result.sparsity}
    return known.status.model_copy(update=figures)


def _torch(environment: Environment) -> str:
    return environment.torch + (f" (CUDA {environment.cuda})" if environment.cuda else "")


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))
