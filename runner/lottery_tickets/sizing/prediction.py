"""How much memory a method will take at its peak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypedDict, Unpack

import torch
from torch import nn

from lottery_tickets.running import Batch, LossFn, size
from lottery_tickets.running.batches import device_of
from lottery_tickets.scores.hybrid import shares
from lottery_tickets.sizing.accounts import ACCOUNTS, DATA_FREE, METHODS, SizedMethod
from lottery_tickets.sizing.case import Case, Optimizer, Settings
from lottery_tickets.sizing.ledger import Ledger, Part
from lottery_tickets.sizing.network import Network, network_of
from lottery_tickets.sizing.passes import Passes
from lottery_tickets.sizing.words import in_words

GIVEN = "given as a number"
NOT_COUNTED = "not counted: no example batch was given"
PASSLESS = "none: the method runs no pass"


class Options(TypedDict, total=False):
    """What changes a method's memory; each has the method's own default."""

    store: Literal["device", "host"]
    """fisher: where the sums lie."""
    chunk_size: int
    """fisher: elements converted at once, of which no more than 2^19 are."""
    use_mixed_precision: bool
    """fisher: sums of fp32; False: of the weights' dtype."""
    offload: bool
    """robustness, landscape: what is put aside goes to the host."""
    sparsity: float
    """robustness: the highest level (default: 0.9)."""
    dimensions: int
    """landscape: 1 or 2."""
    store_directions: bool
    """landscape: directions are kept instead of being drawn again."""
    optimizer: Optimizer
    """early-bird: "sgd" or "adamw"; imp: also "momentum" (SGD with momentum) (default: "sgd")."""
    restore: bool
    """early-bird, imp: a copy of the weights waits on the host (default: True)."""
    sample_size: int
    """early-bird: weights that are compared."""
    hessian_bytes: int
    """sparsegpt: room for the Hessians of one pass."""
    rounds: int
    """synflow."""
    weights: Mapping[str, float]
    """hybrid: method -> its share."""


_TAKES: Mapping[str, frozenset[str]] = {
    "fisher": frozenset({"store", "chunk_size", "use_mixed_precision"}),
    "robustness": frozenset({"offload", "sparsity"}),
    "landscape": frozenset({"offload", "dimensions", "store_directions"}),
    "early-bird": frozenset({"optimizer", "restore", "sample_size"}),
    "imp": frozenset({"optimizer", "restore"}),
    "sparsegpt": frozenset({"hessian_bytes"}),
    "synflow": frozenset({"rounds"}),
    "hybrid": frozenset({"weights"}),
}


@dataclass(frozen=True)
class Prediction:
    """Peak bytes of tensors, the network's own included."""

    method: str
    device: str
    """"cpu": the host's memory is the device's, and counts there alone."""
    batch_size: int | None
    device_bytes: int
    host_bytes: int
    parts: dict[Part, int]
    """What `device_bytes` consist of at the moment of the peak."""
    host_parts: dict[Part, int]
    """The same of `host_bytes`, whose peak may be at another moment."""
    activations: str
    """Where the bytes of passes come from."""

    def __str__(self) -> str:
        host = f" and {in_words(self.host_bytes)} on the host" if self.host_bytes else ""
        batch = f", batch {self.batch_size}" if self.batch_size else ""
        several = ", ".join(f"{part} {in_words(n)}" for part, n in self.parts.items() if n)
        return (
            f"{self.method}{batch}: {in_words(self.device_bytes)} on {self.device}{host} ({several}; activations "
            f"{self.activations})"
        )


def predict_peak(
    model: nn.Module,
    method: SizedMethod,
    example_batch: Batch | None = None,
    *,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    activations: int | None = None,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    **options: Unpack[Options],
) -> Prediction:
    """The most memory that a method of this library will need at once, weights included, before it is run.

    The account follows the code of each method. What a pass through the network takes is found by running that pass
    on fake tensors, which have shapes and no values: no memory is taken, and the network may be on the meta device.
    Where values decide what the network does, one pass is run with its own tensors.

    Counted are tensors. Not counted: the interpreter and its libraries, a CUDA context, workspaces of kernels and what
    an allocator keeps after it was freed; the data of the caller, and copies that a loader holds. Passes are those of
    a CPU, also for a GPU.

    Args:
        model: Any network; it is left as found. On the meta device, billions of weights cost nothing.
        method: "magnitude" (`create_magnitude_mask`); "random", "gradient", "snip", "grasp", "synflow", "taylor",
            "fisher", "wanda", "hybrid" (the functions of these names, as `importance` calls them); "sparsegpt";
            "early-bird"; "imp" (`compute_iterative_magnitude_pruning` with a plain training step: forward, backward,
            optimizer step, mask); "robustness"; "landscape".
        example_batch: A batch as the method gets it, see `Batch`: shapes and dtypes count. None: passes do not count,
            unless `activations` says what they take.
        batch_size: Samples of a batch; the first of `example_batch` is repeated. None: as many as that holds.
        device: Where the network will be, "cpu" or "cuda"; None: where it is, and "cuda" for one on the meta device.
        activations: Bytes that one pass takes beside weights and gradients, instead of `example_batch`.
        loss_fn: See `batch_loss`.
        exclude: See `prunable`.
        **options: See `Options`.

    Returns:
        See `Prediction`.

    Raises:
        ValueError: One sentence: an unknown method, device or option; an option that the method has not; a network
            without prunable weights; a pass that needs values where there are none.
    """
    settings = settings_of(method, options)
    place = place_of(model, device)
    if example_batch is not None and activations is not None:
        raise ValueError("example_batch and activations are both given: leave out one of them")
    if activations is not None and activations < 0:
        raise ValueError(f"activations is {activations}: give bytes, 0 or more")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: use 1 or more")
    passes = None
    if example_batch is not None and method not in DATA_FREE:
        passes = Passes(model, example_batch, loss_fn, exclude)
        batch_size = batch_size or size(example_batch)
    net = network_of(model, exclude)
    return predicted(net, method, passes, activations, batch_size, place, settings)


def predicted(
    net: Network,
    method: str,
    passes: Passes | None,
    activations: int | None,
    batch_size: int | None,
    device: str,
    settings: Settings,
) -> Prediction:
    """`predict_peak` once everything is checked; passes that were rehearsed already are not run again."""
    book = Ledger(one_memory=device == "cpu")
    book.take("weights", net.weight_bytes)
    ACCOUNTS[method](
        Case(book, net, passes, activations, batch_size or 1, device != "cpu", settings)
    )
    how = PASSLESS if method in DATA_FREE else NOT_COUNTED
    if passes is not None:
        how = passes.how
    elif activations is not None and method not in DATA_FREE:
        how = GIVEN
    parts, host = book.peak["device"], book.peak["host"]
    return Prediction(
        method=method,
        device=device,
        batch_size=None if method in DATA_FREE else batch_size,
        device_bytes=sum(parts.values()),
        host_bytes=sum(host.values()),
        parts=parts,
        host_parts=host,
        activations=how,
    )


def place_of(model: nn.Module, device: torch.device | str | None) -> str:
    """The kind of device that is meant.

    Raises:
        ValueError: It is unknown, or the meta device.
    """
    if device is None:
        found = device_of(model).type
        return "cuda" if found == "meta" else found
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = "unknown"
    if kind in ("meta", "unknown"):
        raise ValueError(f"device is {str(device)!r}: use 'cpu' or 'cuda'")
    return kind


def settings_of(method: str, options: Options) -> Settings:
    """The options, checked against the method.

    Raises:
        ValueError: The method is unknown, has no such option, or not this value of it.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: use {', '.join(METHODS)}")
    known = {one.name for one in fields(Settings)}
    takes = _TAKES.get(method, frozenset())
    for name in options:
        if name not in takes:
            whose = [one for one, names in _TAKES.items() if name in names]
            remedy = f"it is for {' and '.join(whose)}" if name in known else "there is none such"
            has = ", ".join(sorted(takes)) or "none"
            raise ValueError(f"{name} is no option of {method}: {remedy}; {method} has {has}")
    settings = Settings(**options)
    optimizers = ("sgd", "adamw") if method == "early-bird" else ("sgd", "momentum", "adamw")
    for name, value, choices in (
        ("store", settings.store, ("device", "host")),
        ("optimizer", settings.optimizer, optimizers),
        ("dimensions", settings.dimensions, (1, 2)),
    ):
        if value not in choices:
            raise ValueError(f"{name} is {value!r}: use {' or '.join(map(repr, choices))}")
    for name, number in (
        ("chunk_size", settings.chunk_size),
        ("sample_size", settings.sample_size),
    ):
        if number < 1:
            raise ValueError(f"{name} is {number}: use 1 or more")
    if not 0 <= settings.sparsity < 1:
        raise ValueError(f"sparsity is {settings.sparsity}: use a fraction in [0, 1)")
    if method == "hybrid":
        shares(settings.weights)
    return settings
