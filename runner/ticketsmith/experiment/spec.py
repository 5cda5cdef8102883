"""The resource a person writes: one `PruningExperiment`, as typed, frozen, closed models.

The CRD is generated from these models, so every field carries its description, unit and bound here.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from ticketsmith.experiment.base import API_VERSION, KIND, Document, fingerprint
from ticketsmith.experiment.duration import Duration, PositiveDuration
from ticketsmith.experiment.placement import RunnerSpec
from ticketsmith.experiment.status import Status

Control = Literal["reinit", "random"]
Score = Literal[
    "magnitude", "random", "gradient", "snip", "grasp", "synflow", "taylor", "fisher", "hybrid"
]
Share = Annotated[float, Field(ge=0, le=1000)]
GateMetric = Literal["accuracy", "loss"]
Name = Annotated[str, Field(min_length=1, max_length=253)]
Money = Annotated[
    Decimal,
    Field(ge=0, max_digits=14, decimal_places=6),
    AfterValidator(lambda value: Decimal(f"{value:f}")),  # 5E+2 is written 500 wherever it is shown
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 10**8},
                {"type": "string", "pattern": r"^[0-9]{1,8}(\.[0-9]{1,6})?$", "maxLength": 15},
            ]
        }
    ),
]
Place = Annotated[str, Field(max_length=1024)]
Seconds = Annotated[int, Field(ge=1, le=315_360_000)]
"""At most ten years."""


class ModelSpec(Document):
    """The network."""

    name: Name
    """A name from the registry (any case, e.g. lenet300), or torchvision:NAME."""
    options: dict[str, Any] = Field({}, max_length=64)
    """Keyword arguments of that model's builder."""
    weights: Place | None = None
    """Weights to begin from (path of a .safetensors file, or DEFAULT for torchvision's); null is random."""


class DatasetSpec(Document):
    """The data."""

    name: Name = "digits"
    """digits (ships with scikit-learn), mnist, cifar10 or image_folder."""
    uri: Place | None = None
    """Folder that holds the data; null looks below $TICKETSMITH_DATA, then asks torchvision to download."""
    options: dict[str, Any] = Field({}, max_length=64)
    """Options of that data set: validation (images held out), augment, size, limit, grayscale."""


class OptimizerSpec(Document):
    """The rule that moves the weights."""

    name: Literal["sgd", "adam", "adamw"] = "adam"
    """sgd, adam or adamw."""
    lr: float = Field(0.0012, gt=0, le=100)
    """Peak learning rate."""
    momentum: float = Field(0.0, ge=0, lt=1)
    """Momentum of sgd; adam and adamw refuse it."""
    nesterov: bool = False
    """Nesterov's form of the momentum of sgd."""
    weight_decay: float = Field(0.0, ge=0, le=10)
    """Weight decay: L2 for sgd and adam, decoupled for adamw."""

    @model_validator(mode="after")
    def _momentum_belongs_to_sgd(self) -> "OptimizerSpec":
        if self.name != "sgd" and self.momentum:
            raise ValueError(
                f"momentum is an option of sgd, not of {self.name}: remove it or choose sgd"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum above 0: set momentum, e.g. 0.9")
        return self


class LrScheduleSpec(Document):
    """How the learning rate moves over training."""

    name: Literal["constant", "step", "cosine"] = "constant"
    """constant, step (times gamma at each milestone) or cosine (to zero at the end)."""
    warmup: Duration = Duration()
    """Linear rise from zero to the peak over this long."""
    milestones: tuple[Duration, ...] = Field((), max_length=32)
    """When step multiplies the rate by gamma, e.g. [80ep, 120ep]."""
    gamma: float = Field(0.1, gt=0, le=1)
    """What step multiplies by at a milestone."""

    @model_validator(mode="after")
    def _milestones_belong_to_step(self) -> "LrScheduleSpec":
        if self.milestones and self.name != "step":
            raise ValueError(
                f"milestones belong to the step schedule, not to {self.name}: set name: step"
            )
        if self.name == "step" and not self.milestones:
            raise ValueError("the step schedule needs milestones, e.g. [80ep, 120ep]")
        return self


class TrainingSpec(Document):
    """How every arm is trained; controls get exactly the same."""

    duration: PositiveDuration = Duration(epochs=20)
    """Length of one round's training: 20ep, 50000it or 10ep50it."""
    batch_size: int = Field(60, ge=1, le=1_000_000)
    """Examples per optimizer step."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """The optimizer."""
    lr_schedule: LrScheduleSpec = LrScheduleSpec()
    """The learning-rate schedule."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16 autocast (weights stay fp32)."""
    gradient_clip: float | None = Field(None, gt=0, le=10**9)
    """Largest global gradient norm; null does not clip."""
    evaluate_every: PositiveDuration = Duration(epochs=1)
    """How often the validation split is measured."""
    select: Literal["last", "bestValidation"] = "last"
    """Which weights a round reports: the last, or those of the evaluation with the lowest validation
    loss (early stopping, as the 2019 paper reports). Scores for pruning always read the last."""


class ScoreWeights(Document):
    """How a hybrid score is mixed, in shares of any sum: of the scores' ranks, not of their values."""

    magnitude: Share = 0.0
    """Share of the weights' size."""
    random: Share = 0.0
    """Share of chance."""
    gradient: Share = 0.0
    """Share of the mean gradient's size."""
    snip: Share = 0.0
    """Share of the weight times the mean gradient (Lee et al. 2019)."""
    grasp: Share = 0.0
    """Share of what removal does to the flow of gradients (Wang et al. 2020)."""
    synflow: Share = 0.0
    """Share of the flow through all paths (Tanaka et al. 2020)."""
    taylor: Share = 0.0
    """Share of the squared weight times gradient (Molchanov et al. 2019)."""
    fisher: Share = 0.0
    """Share of the mean squared gradient of single samples."""

    @model_validator(mode="after")
    def _one_counts(self) -> "ScoreWeights":
        if not self.shares():
            raise ValueError("no share is above 0: write e.g. {magnitude: 0.5, taylor: 0.5}")
        return self

    def shares(self) -> dict[str, float]:
        """Those above 0, by the name of the score."""
        return {name: share for name, share in self if share > 0}


class PruningSpec(Document):
    """What is removed, by which rule, and what the survivors restart from."""

    method: Literal["iterative", "oneShot"] = "iterative"
    """iterative prunes each level from the one before; oneShot prunes every level from the dense round."""
    score: Score = "magnitude"
    """How weights are ranked, the lowest scores going first: magnitude, random, gradient, snip, grasp, synflow, taylor,
    fisher, or hybrid, a mixture of the ranks of several."""
    score_samples: int = Field(1000, ge=1, le=10**9)
    """Training images that a score reads: all but magnitude and random do, synflow only for their shape."""
    score_weights: ScoreWeights | None = None
    """The shares of hybrid, e.g. {magnitude: 0.3, fisher: 0.5, taylor: 0.2}; no other score has any."""
    scope: Literal["global", "layer", "uniform", "erk", "lamp"] = "global"
    """Whether weights compete across the whole network (global), or how a level is split over the layers: layer takes
    the same fraction of each one's survivors, uniform leaves all equally sparse, erk and lamp follow Evci et al. 2020
    and Lee et al. 2021."""
    pattern: Annotated[
        str, Field(max_length=12, pattern=r"^(unstructured|channel|[1-9][0-9]?:[1-9][0-9]?)$")
    ] = "unstructured"
    """Shape of what is removed: unstructured; N:M, e.g. 2:4, which keeps at most N of every M weights along a layer's
    inputs; or channel, which removes whole channels, the fewest that reach a level."""
    exclude: tuple[Name, ...] = Field((), max_length=256)
    """Modules never pruned, as shell patterns over module names, e.g. [fc3, "head.*"]."""
    rate_factors: dict[Name, Annotated[float, Field(ge=0, le=1)]] = Field({}, max_length=256)
    """Per module pattern, the share of the round's pruning rate, e.g. {fc3: 0.5} for half the rate."""
    rewind: Duration = Duration()
    """The dense round's step the survivors return to: 0it is initialisation; 500it is late rewinding."""

    @model_validator(mode="after")
    def _a_mixture_is_told(self) -> "PruningSpec":
        if self.score == "hybrid" and self.score_weights is None:
            raise ValueError("score hybrid needs scoreWeights, e.g. {magnitude: 0.5, taylor: 0.5}")
        if self.score != "hybrid" and self.score_weights is not None:
            raise ValueError(
                f"scoreWeights belong to the score hybrid, not to {self.score}: remove them or choose hybrid"
            )
        return self

    @model_validator(mode="after")
    def _a_pattern_can_be_kept(self) -> "PruningSpec":
        n, _, m = self.pattern.partition(":")
        if m and int(n) >= int(m):
            raise ValueError(
                f"pattern {self.pattern} removes nothing: keep fewer than {m} of {m}, e.g. 2:4"
            )
        if self.pattern == "channel" and self.scope not in ("global", "layer"):
            raise ValueError(
                f"scope {self.scope} splits single weights over layers, and pattern channel removes channels: use "
                "global or layer"
            )
        return self


class SparsitiesSpec(Document):
    """The ladder of levels. Exactly one of the three forms: rate and levels, targets, or final and levels."""

    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fraction of the surviving weights that each level removes; needs levels."""
    levels: int | None = Field(None, ge=1, le=100)
    """How many levels follow the dense one."""
    targets: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = Field(
        None, min_length=1, max_length=100
    )
    """Sparsities of the levels, rising, each in (0, 1)."""
    final: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Sparsity of the last level; the levels before it remove equal fractions of what survives."""

    @model_validator(mode="after")
    def _one_form(self) -> "SparsitiesSpec":
        given = {k for k in ("rate", "levels", "targets", "final") if getattr(self, k) is not None}
        if given not in ({"rate", "levels"}, {"targets"}, {"final", "levels"}):
            names = ", ".join(sorted(given)) or "nothing"
            raise ValueError(
                f"give rate with levels, or targets alone, or final with levels; {names} is given"
            )
        if self.targets is not None and any(
            b <= a for a, b in zip(self.targets, self.targets[1:], strict=False)
        ):
            raise ValueError(
                f"targets must rise from level to level; {list(self.targets)} does not"
            )
        return self

    def ladder(self) -> tuple[float, ...]:
        """The target sparsity of level 1, 2, ... as fractions of the prunable weights."""
        if self.targets is not None:
            return self.targets
        levels = self.levels or 0
        if self.final is not None:
            keep = (1.0 - self.final) ** (1.0 / levels)
            return (*(1.0 - keep**n for n in range(1, levels)), self.final)
        rate = self.rate or 0.0
        return tuple(1.0 - (1.0 - rate) ** n for n in range(1, levels + 1))


class GateSpec(Document):
    """A rule that a round passes or fails, judged on the validation split."""

    metric: GateMetric
    """accuracy (higher is better) or loss (lower is better)."""
    max_drop: float | None = Field(None, ge=0, le=10**9)
    """Largest loss of quality against the same seed's dense round, in the metric's unit: accuracy 0.02 is
    two points; for loss it is the largest rise."""
    worst: float | None = Field(None, ge=-(10**9), le=10**9)
    """The worst value that still passes, whatever the dense round reached."""
    on_fail: Literal["stop", "continue", "fail"] = "stop"
    """stop ends that seed's branch and keeps its last ticket; continue goes on; fail ends the experiment."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> "GateSpec":
        if self.max_drop is None and self.worst is None:
            raise ValueError(
                "a gate needs maxDrop (against the dense round) or worst (an absolute value)"
            )
        return self


class BenchmarkSpec(Document):
    """What is timed once the tickets are known."""

    batch_sizes: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field((1, 32), max_length=16)
    """Batch sizes timed, in examples; [] times nothing."""
    warmup: int = Field(10, ge=0, le=100_000)
    """Untimed passes before the first timed one."""
    repeats: int = Field(50, ge=5, le=100_000)
    """Timed passes per batch size, interleaved with the dense network's."""


class LimitsSpec(Document):
    """What the experiment may spend. These may change while it runs."""

    deadline_seconds: Seconds | None = None
    """Seconds from the first round's start to the end of everything; stands still while suspended."""
    round_deadline_seconds: Seconds | None = None
    """Seconds one attempt at a round may take."""
    max_cost: Money | None = None
    """Most the rounds may cost, in the prices' currency, e.g. "5.50" (on a cluster a fraction stands in quotes); a
    round that is predicted not to fit is not started."""
    max_gpu_hours: Money | None = None
    """Most GPU-hours the rounds may use, admitted the same way."""
    parallelism: int | None = Field(None, ge=1, le=10_000)
    """Rounds that may run at once; null leaves it to the driver (locally: one per core)."""
    retries: int = Field(2, ge=0, le=100)
    """Further attempts after a round's first, when its failure may pass (a lost Pod, an eviction)."""


class RetentionSpec(Document):
    """What stays of it afterwards. This may change while it runs and after it has ended; no result depends on it."""

    keep_checkpoints: Literal["best", "last", "all"] = "all"
    """Whose weights `ticketsmith gc` leaves in the store once the experiment has ended, each with its seed's dense
    network: best (the best ticket), last (each seed's deepest ticket that passed) or all. Results, metrics and masks
    of every round stay."""
    ttl_seconds_after_finished: int | None = Field(None, ge=0, le=315_360_000)
    """On a cluster, seconds after which a finished Job and its Pods go, counted from the Job's end and only once the
    status holds its answer; null keeps them, and their logs, until the experiment is deleted."""


class ArtifactsSpec(Document):
    """Where rounds leave what they made."""

    uri: str = Field(min_length=1, max_length=1024)
    """gs://bucket/prefix, or file:///path; locally a relative folder is taken from where the run starts."""
    persistent_volume_claim: str | None = Field(None, max_length=253)
    """On a cluster, the claim that is mounted at a file:// uri."""


class ExperimentSpec(Document):
    """What to prune, on what data, how far, and within which limits."""

    model: ModelSpec
    """The network."""
    dataset: DatasetSpec = DatasetSpec()
    """The data."""
    training: TrainingSpec = TrainingSpec()
    """How every arm is trained."""
    pruning: PruningSpec = PruningSpec()
    """What is removed and what the survivors restart from."""
    sparsities: SparsitiesSpec = SparsitiesSpec(rate=0.2, levels=10)
    """The ladder of levels."""
    controls: tuple[Control, ...] = Field(("reinit", "random"), max_length=2)
    """Arms the tickets are compared with: reinit (ticket's mask, new weights), random (random mask with
    the ticket's per-layer counts, the ticket's weights)."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        (0, 1, 2), min_length=1, max_length=100
    )
    """Replicates: each seed is its own initialisation, data order and branch of rounds."""
    gates: tuple[GateSpec, ...] = Field(
        (GateSpec(metric="accuracy", max_drop=0.02),), max_length=16
    )
    """Rules every ticket is held to."""
    benchmark: BenchmarkSpec | None = BenchmarkSpec()
    """What is timed on the kept tickets; null times nothing. kubectl apply without --server-side leaves every null
    out, and with it this wish: {batchSizes: []} says the same and lasts."""
    limits: LimitsSpec = LimitsSpec()
    """What the experiment may spend."""
    runner: RunnerSpec = RunnerSpec()
    """How a round's Job looks on a cluster."""
    artifacts: ArtifactsSpec | None = None
    """Where rounds leave what they made; null is ./runs/store on one machine."""
    retention: RetentionSpec = RetentionSpec()
    """What stays of it afterwards."""
    suspend: bool = False
    """true starts no further round and stops the running ones, keeping their checkpoints."""

    @property
    def config_hash(self) -> str:
        """Eight hex digits over everything that decides results; what only says where and how far may change."""
        passing = {"limits", "suspend", "runner", "artifacts", "retention"}
        return fingerprint(self.model_dump(mode="json", exclude=passing), digits=8)

    @field_validator("benchmark", mode="after")
    @classmethod
    def _nothing_to_time(cls, benchmark: BenchmarkSpec | None) -> BenchmarkSpec | None:
        return benchmark if benchmark is not None and benchmark.batch_sizes else None

    @field_validator("controls", "seeds", mode="after")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError(f"each value may stand once; {list(values)} repeats one")
        return values


class Metadata(Document):
    """What Kubernetes keeps about the resource; only name is read."""

    model_config = {"extra": "ignore"}

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of the experiment: lower-case letters, digits and dashes."""
    namespace: str | None = None
    """Namespace, on a cluster."""
    uid: str | None = None
    """Tells resources of one name apart, on a cluster."""
    generation: int | None = None
    """Counts the changes of spec, on a cluster."""
    labels: dict[str, str] | None = None
    """Labels."""
    annotations: dict[str, str] | None = None
    """Annotations."""


class PruningExperiment(Document):
    """One experiment: its spec, and the status the driver writes."""

    api_version: Literal["ticketsmith.dev/v1alpha1"] = API_VERSION
    """ticketsmith.dev/v1alpha1."""
    kind: Literal["PruningExperiment"] = KIND
    """PruningExperiment."""
    metadata: Metadata
    """Name and labels."""
    spec: ExperimentSpec
    """What is asked for."""
    status: Status | None = None
    """What came of it; written by the driver alone."""
