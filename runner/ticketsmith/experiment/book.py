"""The rounds of one experiment while one decision is made: what is known, what changes, what it costs."""

from dataclasses import dataclass, field
from typing import Any

from ticketsmith.experiment.budget import cost
from ticketsmith.experiment.clock import rfc3339, unix
from ticketsmith.experiment.contract import BenchmarkRound, ReportRound, TrainRound
from ticketsmith.experiment.decision import Event, Prices, Start, Stop, World
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith.experiment.status import Best, RoundStatus, Status, Usage
from ticketsmith.experiment.steps import Step


@dataclass(slots=True)
class Book:
    """Working memory of one call of plan; nothing of it outlives the call but the Decision."""

    spec: ExperimentSpec
    now: float
    prices: Prices
    rounds: dict[str, RoundStatus]
    usage: Usage
    started_at: str | None
    active_seconds: float
    clock_since: str | None
    best: Best | None
    """As it stood before this call."""
    speedup: float | None
    """Measured by the benchmark for the best ticket."""
    starts: list[Start] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    """Rounds that became Done or Failed in this call, in order."""
    lingering: set[tuple[str, int]] = field(default_factory=set)
    """Stopped attempts, round and number, that may still be there: each keeps its place until it is gone."""

    @classmethod
    def open(cls, spec: ExperimentSpec, status: Status, world: World) -> "Book":
        usage = status.usage
        if world.prices.hourly is not None and usage.currency != world.prices.currency:
            usage = usage.model_copy(update={"currency": world.prices.currency})
        return cls(
            spec=spec,
            # As the status writes it, so that times told now and read back later agree to the bit.
            now=unix(rfc3339(world.now)),
            prices=world.prices,
            rounds=recall(status.rounds, status.ledger),
            usage=usage,
            started_at=status.started_at,
            active_seconds=status.active_seconds,
            clock_since=status.clock_since,
            best=status.best,
            speedup=status.best.speedup if status.best else None,
        )

    def lingers(self, name: str) -> bool:
        """Whether a stopped attempt at this round may still be there."""
        return any(round_ == name for round_, _ in self.lingering)

    # --- telling ---------------------------------------------------------------------------------
    def tell(self, reason: str, message: str, name: str | None = None) -> None:
        self.events.append(Event("Normal", reason, message, name))

    def warn(self, reason: str, message: str, name: str | None = None) -> None:
        self.events.append(Event("Warning", reason, message, name))

    # --- rounds ----------------------------------------------------------------------------------
    def running(self) -> list[RoundStatus]:
        return [one for one in self.rounds.values() if one.state == "Running"]

    def is_done(self, name: str) -> bool:
        known = self.rounds.get(name)
        return known is not None and known.state == "Done"

    def change(self, name: str, **changes: Any) -> RoundStatus:
        changed = self.rounds[name].model_copy(update=changes)
        self.rounds[name] = changed
        return changed

    def start(self, step: Step, round_: TrainRound | BenchmarkRound | ReportRound) -> None:
        """Start the step's next attempt."""
        known = self.rounds.get(step.name)
        if known is None:
            known = RoundStatus(
                name=step.name, arm=step.arm, seed=step.seed, level=step.level, state="Waiting"
            )
            self.rounds[step.name] = known
        attempt = known.attempts + 1
        self.change(step.name, state="Running", attempts=attempt, key=round_.key, message=None)
        self.starts.append(Start(round_, attempt))
        aim = f" for sparsity {step.sparsity:.1%}" if step.level else ""
        again = f", attempt {attempt}" if attempt > 1 else ""
        self.tell("RoundStarted", f"{step.name} starts{aim}{again}", step.name)

    def end_attempt(self, name: str, seconds: float, **changes: Any) -> RoundStatus:
        """Charge the attempt that ran for `seconds`, and change the round."""
        known = self.rounds[name]
        seconds = round(max(0.0, seconds), 3)
        gpu_seconds = round(self.prices.gpus * seconds, 3)
        price = cost(self.prices, seconds)
        self.usage = self.usage.model_copy(
            update={
                "duration_seconds": round(self.usage.duration_seconds + seconds, 3),
                "gpu_seconds": round(self.usage.gpu_seconds + gpu_seconds, 3),
                "cost": self.usage.cost + price,
            }
        )
        return self.change(
            name,
            duration_seconds=round(known.duration_seconds + seconds, 3),
            gpu_seconds=round(known.gpu_seconds + gpu_seconds, 3),
            cost=known.cost + price,
            started_at=None,
            **changes,
        )

    def elapsed(self, known: RoundStatus) -> float:
        """Seconds the round's present attempt has run; 0 while it waits for a place."""
        return max(0.0, self.now - unix(known.started_at)) if known.started_at else 0.0

    # --- the deadline's clock --------------------------------------------------------------------
    def begin(self, started_at: float) -> None:
        """Set the clock going at the first round's start, also where a later start was seen before it."""
        is_first = self.started_at is None or (
            self.clock_since == self.started_at and started_at < unix(self.started_at)
        )
        if is_first:
            self.started_at = self.clock_since = rfc3339(started_at)

    def hold_clock(self) -> None:
        self.active_seconds, self.clock_since = self.active(), None

    def go_on(self) -> None:
        if self.started_at is not None and self.clock_since is None:
            self.clock_since = rfc3339(self.now)

    def active(self) -> float:
        """Seconds the deadline's clock has run."""
        since = max(0.0, self.now - unix(self.clock_since)) if self.clock_since else 0.0
        return self.active_seconds + since
