"""The round contract: what a round is told, and what it answers.

A round is told a RoundSpec as JSON (environment variable `TICKETSMITH_ROUND`, or `--spec FILE`) and answers with
an Answer of at most `ANSWER_LIMIT` bytes (the container's termination message, or the file given by `--answer`).
Everything larger stays in the artifact store under the round's key.
"""

from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from ticketsmith.experiment.base import Document, fingerprint
from ticketsmith.experiment.duration import Duration
from ticketsmith.experiment.spec import (
    BenchmarkSpec,
    DatasetSpec,
    ModelSpec,
    PruningSpec,
    TrainingSpec,
)

ROUND_VARIABLE = "TICKETSMITH_ROUND"
ANSWER_LIMIT = 4096
"""Bytes: what Kubernetes keeps of a container's termination message."""

TrainArm = Literal["dense", "ticket", "reinit", "random"]
Arm = Literal["dense", "ticket", "reinit", "random", "benchmark", "report"]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class ExitCode(IntEnum):
    """How a round's process ends. Any other code, or a process that is lost, may be tried again."""

    DONE = 0
    BAD_SPEC = 2
    """The spec is wrong or its data is missing; trying again would not help."""
    BROKEN_NUMBERS = 3
    """Loss or weights stopped being finite."""
    DOES_NOT_FIT = 4
    """Out of memory."""

    @staticmethod
    def is_final(code: int) -> bool:
        """Whether an attempt that ended with `code` must not be tried again."""
        return code in {ExitCode.BAD_SPEC, ExitCode.BROKEN_NUMBERS, ExitCode.DOES_NOT_FIT}


class Parents(Document):
    """Keys of the rounds whose artifacts this one reads."""

    dense: Key | None = None
    """The same seed's dense round: rewound weights, and the baseline."""
    scored: Key | None = None
    """ticket: the round whose last weights and mask are scored and pruned further."""
    ticket: Key | None = None
    """reinit, random: the ticket round whose mask (or per-layer counts) is taken."""


class TrainRound(Document):
    """One arm at one level for one seed: prune, rewind or draw weights, train, evaluate."""

    kind: Literal["train"] = "train"
    name: str
    """Name within the experiment, e.g. ticket-s0-l03. Not part of the key."""
    experiment: str
    """Name of the experiment. Not part of the key."""
    runner_version: str
    """Version of the runner that carries it out."""
    arm: TrainArm
    seed: int
    level: int = Field(ge=0)
    sparsity: float = Field(ge=0, lt=1)
    """Target: fraction of the prunable weights that are zero at this level."""
    model: ModelSpec
    dataset: DatasetSpec
    training: TrainingSpec
    rewind: Duration
    """dense: the step whose weights are kept for rewinding. ticket, random: the step returned to."""
    pruning: PruningSpec | None = None
    """None for the dense arm, so that experiments that prune differently share their dense rounds."""
    parents: Parents = Parents()

    @property
    def key(self) -> str:
        """Content address: equal for two rounds exactly when the same work is asked for."""
        decisive = self.model_dump(mode="json", exclude={"name", "experiment"})
        return fingerprint(decisive)


class BenchmarkRound(Document):
    """Time saved artifacts side by side with their dense network."""

    kind: Literal["benchmark"] = "benchmark"
    name: str
    experiment: str
    runner_version: str
    machine: str
    """The hardware asked for; part of the key, since a timing belongs to the machine that made it."""
    model: ModelSpec
    dataset: DatasetSpec
    benchmark: BenchmarkSpec
    dense: Key
    tickets: tuple[Key, ...]
    """Rounds whose artifacts are timed against the dense round's."""

    @property
    def key(self) -> str:
        """Content address, see TrainRound.key."""
        return fingerprint(self.model_dump(mode="json", exclude={"name", "experiment"}))


class ReportRound(Document):
    """Turn the results of an experiment into a report, kept in the store under this round's key."""

    kind: Literal["report"] = "report"
    name: str
    experiment: str
    runner_version: str
    resource: dict[str, Any]
    """The resource so far: apiVersion, kind, metadata.name, spec, and status."""

    @property
    def key(self) -> str:
        """Content address, see TrainRound.key."""
        return fingerprint(self.model_dump(mode="json", exclude={"name"}))


RoundSpec = Annotated[TrainRound | BenchmarkRound | ReportRound, Field(discriminator="kind")]


class Timing(Document):
    """One artifact's wall-clock time at one batch size, and its ratio to the dense network's."""

    round: Key
    """Key of the round whose artifact was timed."""
    batch_size: int
    path: str
    """Execution path that ran it, e.g. dense (zeros stored densely)."""
    p50_ms: float = Field(gt=0)
    p95_ms: float
    speedup: float
    """Dense time over this artifact's time, from interleaved passes; 1.0 for the dense network itself."""
    low: float
    """Lower end of the 95% bootstrap interval of speedup."""
    high: float
    """Upper end of that interval."""

    @property
    def samples_per_second(self) -> float:
        """Examples a second at the median time of a pass."""
        return 1000.0 * self.batch_size / self.p50_ms

    @property
    def is_speedup(self) -> bool:
        """Whether the interval lies above 1: only then is a speedup spoken of."""
        return self.low > 1.0

    @property
    def is_slowdown(self) -> bool:
        """Whether the interval lies below 1."""
        return self.high < 1.0


class RoundResult(Document):
    """What a finished round answers; `result.json` in the store holds the same document."""

    outcome: Literal["done"] = "done"
    key: Key
    arm: Arm
    seed: int | None = None
    level: int | None = None
    remaining: int | None = None
    """Prunable weights that are not pruned."""
    prunable: int | None = None
    """Prunable weights in all: weights of convolutions and linear layers that are not excluded."""
    parameters: int | None = None
    """All parameters of the network, prunable or not."""
    metrics: dict[str, float] = {}
    """accuracy and loss on the test set, valAccuracy and valLoss on the validation split, trainLoss."""
    iterations: int | None = None
    """Optimizer steps trained."""
    selected_iteration: int | None = None
    """Step whose weights were evaluated (the last, or the best on validation)."""
    best_iteration: int | None = None
    """Step of the lowest validation loss among the evaluations (the early-stopping step)."""
    started_at: float | None = None
    """Unix time in seconds at which the first attempt's work began."""
    duration_seconds: float = 0.0
    """Time of the work itself, over all its attempts."""
    device: str = "cpu"
    """Device in words, e.g. cpu or NVIDIA T4."""
    gpus: int = 0
    """GPUs in use while it ran."""
    files: dict[str, str] = {}
    """SHA-256 (hex) of each artifact below the key."""
    timings: tuple[Timing, ...] = ()
    """benchmark: the fastest-path timings, as many as fit; all are in benchmark.json."""

    @property
    def sparsity(self) -> float | None:
        """Fraction of the prunable weights that are zero by the mask."""
        if self.remaining is None or not self.prunable:
            return None
        return 1.0 - self.remaining / self.prunable


class RoundError(Document):
    """Why a round's process gave up, in words a person can act on."""

    outcome: Literal["error"] = "error"
    exit_code: int
    message: str
    """One sentence; the last words of the round."""


Answer = Annotated[RoundResult | RoundError, Field(discriminator="outcome")]

_ROUND: TypeAdapter[TrainRound | BenchmarkRound | ReportRound] = TypeAdapter(RoundSpec)
_ANSWER: TypeAdapter[RoundResult | RoundError] = TypeAdapter(Answer)


def read_round(text: str | bytes) -> TrainRound | BenchmarkRound | ReportRound:
    """Read a RoundSpec from JSON; pydantic.ValidationError on anything else."""
    return _ROUND.validate_json(text)


def read_answer(text: str | bytes) -> RoundResult | RoundError:
    """Read an Answer from JSON; pydantic.ValidationError on anything else."""
    return _ANSWER.validate_json(text)


def write_answer(answer: RoundResult | RoundError) -> str:
    """The answer as JSON of at most ANSWER_LIMIT bytes; what does not fit is left out, details first."""
    for drop in ((), ("timings",), ("timings", "files")):
        text = answer.model_dump_json(exclude=set(drop), exclude_none=True)
        if len(text.encode()) <= ANSWER_LIMIT:
            return text
    if isinstance(answer, RoundError):
        return RoundError(
            exit_code=answer.exit_code, message=answer.message[:1000]
        ).model_dump_json()
    raise ValueError(f"an answer of {len(text.encode())} bytes cannot be cut to {ANSWER_LIMIT}")
