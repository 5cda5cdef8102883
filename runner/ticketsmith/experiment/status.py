"""The status of an experiment: all that the plan knows of the past, and what a person reads."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from ticketsmith.experiment.base import Document

Phase = Literal["Pending", "Running", "Suspended", "Succeeded", "Failed"]
RoundState = Literal["Running", "Waiting", "Done", "Failed", "Stopped"]
ConditionType = Literal["Accepted", "Progressing", "Complete", "Ready", "Reconciling", "Stalled"]
UNSEEN: Final = -1
"""status.observedGeneration that the API server gives a new resource: whoever compares it with metadata.generation,
as kstatus does, waits for the operator instead of taking silence for success."""


def _is_a_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Moment = Annotated[
    str,
    AfterValidator(_is_a_time),
    Field(max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"),
]
"""RFC 3339."""
GateVerdict = Literal["passed", "failed"]


class Condition(Document):
    """One condition in the shape of metav1.Condition."""

    type: ConditionType
    """Accepted, Progressing, Complete or Ready; Reconciling or Stalled while that is so."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: str
    """One word in CamelCase, e.g. AllRoundsDone."""
    message: str
    """One sentence a person can act on."""
    last_transition_time: Moment
    """When status last changed, RFC 3339 in UTC."""
    observed_generation: int | None = None
    """Generation of spec this was said of."""


class RoundStatus(Document):
    """What is known of one round that was started at least once."""

    name: str
    """Name within the experiment, e.g. ticket-s0-l03."""
    arm: str
    """dense, ticket, reinit, random, benchmark or report."""
    seed: int | None = None
    """Replicate."""
    level: int | None = None
    """0 is dense."""
    state: RoundState
    """Running, Waiting (its next attempt is to be started), Done, Failed, or Stopped."""
    attempts: int = 0
    """Attempts started so far, stopped ones included."""
    failures: int = 0
    """Attempts that failed and count against limits.retries; being suspended does not count."""
    key: str | None = None
    """Content address of its artifacts."""
    sparsity: float | None = None
    """Measured: fraction of the prunable weights that are zero."""
    metrics: dict[str, float] = {}
    """What it measured. benchmark: samplesPerSecond1, ... of the best ticket, one per batch size that was timed."""
    gate: GateVerdict | None = None
    """Whether it passed every gate; null where no gate applies."""
    ends_branch: bool = False
    """A ticket that failed a gate whose onFail is not continue: nothing is started from it."""
    duration_seconds: float = 0.0
    """Wall-clock time of all its attempts."""
    gpu_seconds: float = 0.0
    """GPUs times seconds, of all its attempts."""
    cost: Decimal = Decimal(0)
    """Cost of all its attempts."""
    started_at: Moment | None = None
    """Start of the attempt that runs now, RFC 3339."""
    message: str | None = None
    """Last words of a failed attempt."""


class Best(Document):
    """The ticket an experiment stands for: the deepest level that the most seeds pass."""

    round: str
    """Round that made it."""
    level: int
    """Its level."""
    sparsity: float
    """Measured sparsity."""
    metric: float
    """Its accuracy on the test set, or the first gate's metric."""
    drop: float
    """Quality lost against the same seed's dense round (test set); negative is a gain."""
    seeds_passed: int
    """Seeds whose ticket passed at this level."""
    seeds: int
    """Seeds in all."""
    speedup: float | None = None
    """Measured speedup at the smallest batch size, where the interval excludes 1; null where there is none."""
    artifact: str | None = None
    """Key of its artifacts in the store."""


class ParetoPoint(Document):
    """A round that no other beats in both sparsity and quality."""

    round: str
    """Its name."""
    sparsity: float
    """Measured sparsity."""
    metric: float
    """Its accuracy on the test set, or the first gate's metric."""


class Usage(Document):
    """What was spent so far, failed attempts included."""

    gpu_seconds: float = 0.0
    """GPUs times seconds."""
    duration_seconds: float = 0.0
    """Sum of the wall-clock time of all attempts."""
    cost: Decimal = Decimal(0)
    """In currency."""
    spent: str | None = None
    """Cost and currency as a person reads them, e.g. 0.42 USD; null where no price is known."""
    currency: str | None = None
    """Currency of cost; null where no price is known."""


class Status(Document):
    """Written by the driver, read by people, dashboards and the next plan."""

    observed_generation: int | None = None
    """Generation of spec this status speaks of; -1 while no operator has seen the resource."""
    phase: Phase = "Pending"
    """Pending, Running, Suspended, Succeeded or Failed."""
    reason: str | None = None
    """Why the phase is what it is, e.g. GateStopped."""
    progress: str | None = None
    """Rounds settled of rounds planned, e.g. 7/12."""
    conditions: tuple[Condition, ...] = ()
    """Accepted, Progressing, Complete, Ready; Reconciling while it goes on, Stalled once it cannot."""
    rounds: Annotated[tuple[RoundStatus, ...], Field(max_length=100)] = ()
    """Rounds in detail: running and failed ones first, then the latest; at most 100."""
    ledger: Annotated[tuple[str, ...], Field(max_length=20_000)] = ()
    """Finished rounds that do not fit in rounds, one compact line each."""
    best: Best | None = None
    """The ticket found so far."""
    pareto: Annotated[tuple[ParetoPoint, ...], Field(max_length=100)] = ()
    """Tickets that no other ticket beats in both sparsity and quality."""
    usage: Usage = Usage()
    """What was spent."""
    started_at: Moment | None = None
    """Start of the first round, RFC 3339: the deadline counts from here."""
    active_seconds: float = 0.0
    """Seconds the deadline's clock had run when it last stood still or was written."""
    clock_since: Moment | None = None
    """When the deadline's clock was last set going, RFC 3339; null while it stands still."""
    finished_at: Moment | None = None
    """When the experiment ended, RFC 3339."""
    message: str | None = None
    """One sentence a person can act on."""


def written(document: Any) -> Any:
    """A status as its resource holds it; None where there is only what the API server puts there."""
    return None if document in ({}, {"observedGeneration": UNSEEN}) else document
