"""What fits: the batch size, the placement and the pieces that a memory has room for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack, cast

import torch
from torch import nn

from lottery_tickets.running import Batch, LossFn
from lottery_tickets.running.batches import device_of
from lottery_tickets.scores.backward import PIECE
from lottery_tickets.sizing.accounts import DATA_FREE, SizedMethod
from lottery_tickets.sizing.available import available_memory
from lottery_tickets.sizing.case import Settings
from lottery_tickets.sizing.ledger import Part
from lottery_tickets.sizing.network import Network, network_of
from lottery_tickets.sizing.passes import Passes
from lottery_tickets.sizing.prediction import (
    Options,
    Prediction,
    place_of,
    predicted,
    settings_of,
)
from lottery_tickets.sizing.words import in_words

GRID_POINTS = 21
"""Of `compute_loss_landscape`, by default."""
_SMALL_PIECE = 1 << 14

_CHOICES: Mapping[str, Sequence[Options]] = {
    "fisher": (
        {"store": "device", "chunk_size": PIECE},
        {"store": "host", "chunk_size": PIECE},
        {"store": "host", "chunk_size": _SMALL_PIECE},
    ),
    "robustness": ({"offload": False}, {"offload": True}),
    "landscape": (
        {"offload": False, "store_directions": True},
        {"offload": False, "store_directions": False},
        {"offload": True, "store_directions": False},
    ),
    "sparsegpt": ({"hessian_bytes": 1 << 30}, {"hessian_bytes": 0}),
}
"""What can be chosen, the quickest first."""


@dataclass(frozen=True)
class MemoryPlan:
    """What to call a method with, so that it fits."""

    method: str
    batch_size: int | None
    """Samples of a batch; None: the method takes none, or there was no example to size it by."""
    placement: Literal["device", "host"]
    """Where the scores of Fisher, or what the judges put aside, lie."""
    chunk_size: int | None
    """fisher: elements converted at once."""
    grid_points: int | None
    """landscape: points along an axis. They cost time and no memory, so this is the method's default."""
    options: dict[str, Any]
    """Keywords of the method's function that were chosen or given."""
    prediction: Prediction
    why: str
    """One sentence."""


@dataclass(frozen=True)
class Limits:
    """What there is, and what may be used of it."""

    device: int
    host: int
    reserve: float

    def hold(self, found: Prediction) -> bool:
        usable = 1 - self.reserve
        return found.device_bytes <= self.device * usable and found.host_bytes <= self.host * usable


def plan_memory(
    model: nn.Module,
    method: SizedMethod,
    device_bytes: int | None = None,
    host_bytes: int | None = None,
    example_batch: Batch | None = None,
    *,
    device: torch.device | str | None = None,
    max_batch_size: int = 256,
    reserve: float = 0.1,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    **options: Unpack[Options],
) -> MemoryPlan:
    """The largest batch that fits, and where things have to lie for it; see `predict_peak` for what is counted.

    Batches grow by powers of two. Of two placements that allow the same batch the quicker is taken: the device before
    the host, stored directions before those drawn again.

    Args:
        model: Any network, also one on the meta device.
        method: See `predict_peak`.
        device_bytes: What the network and the method may take together on the device; None: what is available there
            now, and what the network takes there already.
        host_bytes: The same of the host, beside; on a CPU it has no part. None: what is available.
        example_batch: See `predict_peak`. None: no batch size is chosen, and passes do not count.
        device: Where the method will run, see `predict_peak`.
        max_batch_size: Largest batch that is tried.
        reserve: Fraction of each memory that is left for what is not counted: libraries, workspaces of kernels, what
            allocators keep.
        loss_fn: See `batch_loss`.
        exclude: See `prunable`.
        **options: See `Options`; what is given is not chosen.

    Raises:
        ValueError: Nothing fits: predicted and available bytes are given, and what would help. Or see `predict_peak`.
    """
    settings_of(method, options)
    place = place_of(model, device)
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size is {max_batch_size}: use 1 or more")
    if not 0 <= reserve < 1:
        raise ValueError(f"reserve is {reserve}: use a fraction in [0, 1)")
    net = network_of(model, exclude)
    if device_bytes is None:
        there = device_of(model).type == place
        device_bytes = available_memory(place) + (net.weight_bytes if there else 0)
    limits = Limits(
        device_bytes,
        available_memory("cpu") if host_bytes is None and place != "cpu" else host_bytes or 0,
        reserve,
    )
    passes = None
    if example_batch is not None and method not in DATA_FREE:
        passes = Passes(model, example_batch, loss_fn, exclude)
    return planned(net, passes, method, place, limits, max_batch_size, options)


def planned(
    net: Network,
    passes: Passes | None,
    method: str,
    place: str,
    limits: Limits,
    most: int,
    options: Options,
) -> MemoryPlan:
    """`plan_memory` once everything is checked."""
    best: tuple[Prediction, Options] | None = None
    least: Prediction | None = None
    for choice in _choices(method, place, options):
        settings = settings_of(method, choice)

        def needed(power: int, settings: Settings = settings) -> Prediction:
            batch = 1 << power if passes else None
            return predicted(net, method, passes, None, batch, place, settings)

        found = needed(0)
        if least is None or found.device_bytes < least.device_bytes:
            least = found
        if not limits.hold(found):
            continue
        # More samples never take less, so half of what is open is left out at each step.
        fits, beyond = 0, most.bit_length() if passes else 1
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            larger = needed(middle)
            if limits.hold(larger):
                fits, found = middle, larger
            else:
                beyond = middle
        if best is None or (found.batch_size or 0) > (best[0].batch_size or 0):
            best = found, choice
    assert least is not None  # noqa: S101
    if best is None:
        raise ValueError(_refusal(least, limits, net))
    return _plan(method, *best, limits, most)


def _choices(method: str, place: str, given: Options) -> list[Options]:
    """What is tried: what can be chosen and was not given, with what was."""
    tried: list[Options] = []
    for choice in _CHOICES.get(method, ({},)):
        if place == "cpu" and (choice.get("offload") or choice.get("store") == "host"):
            # The same memory: only the smaller piece makes a difference.
            choice = cast("Options", {k: v for k, v in choice.items() if k == "chunk_size"})
            if not choice:
                continue
        whole: Options = {**choice, **given}
        if whole not in tried:
            tried.append(whole)
    return tried


def _plan(method: str, found: Prediction, choice: Options, limits: Limits, most: int) -> MemoryPlan:
    aside = choice.get("store") == "host" or bool(choice.get("offload"))
    grid = GRID_POINTS if method == "landscape" else None
    options: dict[str, Any] = dict(choice)
    if grid:
        options["grid_points"] = grid
    return MemoryPlan(
        method=method,
        batch_size=found.batch_size,
        placement="host" if aside else "device",
        chunk_size=choice.get("chunk_size"),
        grid_points=grid,
        options=options,
        prediction=found,
        why=_why(found, aside, limits, most),
    )


def _why(found: Prediction, aside: bool, limits: Limits, most: int) -> str:
    batch = "no batch size was chosen, as there was no example batch"
    if found.batch_size:
        batch = f"batch {found.batch_size} is the largest power of two that fits"
        if 2 * found.batch_size > most:
            batch = f"batch {found.batch_size} fits, the largest that was to be tried"
    elif found.activations.startswith("none"):
        batch = "it takes no batch"
    where = ", with what can be kept on the host there" if aside else ""
    host = f" and {_of(found.host_bytes, limits.host)} on the host" if found.host_bytes else ""
    return (
        f"{batch}{where}: {_of(found.device_bytes, limits.device)} on {found.device}{host} (activations "
        f"{found.activations}), {limits.reserve:.0%} being left free."
    )


def _of(size: int, limit: int) -> str:
    return f"{in_words(size)} of {in_words(limit)}"


def _refusal(found: Prediction, limits: Limits, net: Network) -> str:
    host = ""
    if found.host_bytes:
        host = f" and {found.host_bytes:,} on the host, where {limits.host:,} are available"
    device_holds = found.device_bytes <= limits.device * (1 - limits.reserve)
    where, parts = ("host", found.host_parts) if device_holds else ("device", found.parts)
    largest, size = max(parts.items(), key=lambda item: item[1])
    batch = " at batch 1" if found.batch_size else ""
    remedies = [f"use a larger {where}", *_remedies(largest, found, net)]
    return (
        f"{found.method} does not fit{batch}: at least {found.device_bytes:,} bytes are predicted on {found.device}, "
        f"where {limits.device:,} are available{host}, less {limits.reserve:.0%} in reserve; most on the {where} are "
        f"{largest} ({in_words(size)}): {', or '.join(remedies)}"
    )


def _remedies(largest: Part, found: Prediction, net: Network) -> Iterator[str]:
    """What would make the largest part smaller, of what this method and this network have left to do."""
    if largest == "weights" and any(one.itemsize > 2 for one in net.parameters):
        yield "use weights of 16 bits"
    copied = found.device == "cpu" or found.host_parts["weights"]
    if largest == "weights" and copied and found.method in ("early-bird", "imp"):
        yield "use restore=False"
    on_device = found.device != "cpu" and not found.host_parts["scores"]
    if largest == "scores" and on_device and found.method == "fisher":
        yield "use store='host'"
    if largest in ("gradients", "scores", "masks", "buffers"):
        yield "exclude the largest layers"
    if largest == "activations":
        yield "use shorter sequences or smaller inputs"
        yield "recompute activations (torch.utils.checkpoint)"
    if largest == "optimizer":
        yield "use optimizer='sgd'"
