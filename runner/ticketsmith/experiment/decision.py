"""What the plan reads of the world and what it answers. Both drivers speak these types."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from ticketsmith.experiment.contract import (
    BenchmarkRound,
    ReportRound,
    RoundError,
    RoundResult,
    TrainRound,
)
from ticketsmith.experiment.status import Status


@dataclass(frozen=True, slots=True)
class Prices:
    """What one round's place costs while it runs."""

    hourly: Decimal | None = None
    """Price of a round's placement per hour; None where no price is known."""
    currency: str | None = None
    gpus: int = 0
    """GPUs a round occupies."""


@dataclass(frozen=True, slots=True)
class World:
    """The circumstances of one call of plan."""

    now: float
    """Unix time in seconds."""
    runner_version: str
    machine: str
    """The hardware benchmark rounds will run on, in words."""
    capacity: int
    """Rounds the driver can run at once where limits.parallelism does not say."""
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class Observed:
    """One attempt at a round, as a driver sees it. An attempt not mentioned is taken to be unchanged."""

    name: str
    attempt: int
    """Counts from 1."""
    state: Literal["queued", "running", "done", "failed", "interrupted"]
    """queued: it waits for a place, for the first time or again (evicted from its queue, its Pod replaced), and costs
    nothing meanwhile; finished_at tells when it last gave a place up. interrupted: it ended through no fault of its
    own (stopped, evicted, driver restarted) and may simply be started again; it does not count against
    limits.retries."""
    started_at: float | None = None
    """Unix time at which its work began; None while that is not known."""
    finished_at: float | None = None
    answer: RoundResult | RoundError | None = None
    exit_code: int | None = None
    message: str | None = None
    """Last words, where there is no answer."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start this attempt."""

    round: TrainRound | BenchmarkRound | ReportRound
    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop this attempt; its checkpoint stays."""

    name: str
    attempt: int
    reason: Literal["Suspended", "DeadlineExceeded", "RoundDeadlineExceeded", "Ended"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling a person."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str
    round: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now."""

    start: tuple[Start, ...]
    stop: tuple[Stop, ...]
    status: Status
    events: tuple[Event, ...]
    requeue_after: float | None
    """Seconds after which plan wants to be asked again even if nothing happens; None: not needed."""
