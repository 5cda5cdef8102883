"""The documents a round leaves in the store beside its weights. `FILES` names them all."""

from pydantic import Field

from ticketsmith.experiment.base import Document
from ticketsmith.experiment.contract import Key, Timing

SPEC = "spec.json"
RESULT = "result.json"
METRICS = "metrics.jsonl"
LAYERS = "layers.json"
ENVIRONMENT = "environment.json"
BENCHMARK = "benchmark.json"
WEIGHTS = "weights.safetensors"
"""The network the round reports, pruned weights zero."""
FINAL = "final.safetensors"
"""Weights at the end of training, where they differ from WEIGHTS; scores for pruning read these."""
REWIND = "rewind.safetensors"
"""dense: all parameters and buffers at the rewind step."""
MASK = "mask.safetensors"
"""Bit-packed; absent for the dense arm."""
SAMPLES = "samples.safetensors"
"""Some test images with label and prediction, right and wrong ones."""
CHECKPOINT = "checkpoint.safetensors"
"""Only while a round is unfinished."""
USED = "used"
"""Empty: its time is when another round last relied on this one."""
WEIGHTY = frozenset({WEIGHTS, FINAL, REWIND, CHECKPOINT})
"""As large as the network. All else of a round is small, and tells what it found."""


class Evaluation(Document):
    """One line of metrics.jsonl: the state of training when the validation split was measured."""

    iteration: int
    epoch: float
    train_loss: float | None
    """Mean over the batches since the last evaluation; None before the first step."""
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    """Since training began, all attempts together."""


class LayerCount(Document):
    """How much of one prunable tensor is left."""

    name: str
    shape: tuple[int, ...]
    prunable: int
    remaining: int


class Layers(Document):
    """layers.json: every prunable tensor, in the network's order."""

    layers: tuple[LayerCount, ...]


class Environment(Document):
    """environment.json: what a result was made with."""

    ticketsmith: str
    python: str
    torch: str
    platform: str
    processor: str
    device: str
    gpus: int
    threads: int
    """Threads of torch's intra-op pool."""
    cuda: str | None = None
    packages: dict[str, str] = {}
    """Versions of the libraries that decide results."""


class Size(Document):
    """Bytes of one network on disk, both files really written."""

    round: Key
    dense_bytes: int
    """safetensors, zeros stored."""
    sparse_bytes: int
    """safetensors, a bit per prunable weight plus the surviving values."""


class BenchmarkDetails(Document):
    """benchmark.json."""

    environment: Environment
    timings: tuple[Timing, ...]
    sizes: tuple[Size, ...]
    repeats: int = Field(ge=1)
    warmup: int


class Progress(Document):
    """One line a running round tells its driver."""

    round: str
    doing: str
    """A verb a person understands: loading, training, testing, saving, timing, drawing."""
    iteration: int = 0
    iterations: int = 0
    epoch: float = 0.0
    epochs: float = 0.0
    loss: float | None = None
    accuracy: float | None = None
    """On the validation split."""
    resumed_at: int | None = None
    """Step a resumed round went on from."""
