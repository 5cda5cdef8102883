"""Slices of the loss around a network's weights, along filter-normalised random directions.

Li et al. (2018, 1712.09913, section 4): a random direction is scaled filter by filter to the norm of the network's own
filter, so that slices of different networks can be compared. A filter is a row of the first dimension: the weights of
one output of a linear layer or convolution. Biases and the weights of norms are not moved, as in the authors' code.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.judging.performance import check_again, measure
from lottery_tickets.modules import match, named
from lottery_tickets.patterns import Axis, reduction_axes
from lottery_tickets.running import Batch, LossFn, Telling, follow, preserved

PIECE = 1 << 22
"""Elements of a direction drawn at once. Part of what a seed means: another size draws other numbers."""
_SMALLEST = 1e-10


def compute_loss_landscape(
    model: nn.Module,
    dataloader: Iterable[Batch],
    *,
    dimensions: Literal[1, 2] = 2,
    grid_points: int = 21,
    radius: float = 1.0,
    mask: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    exclude: Sequence[str] = (),
    loss_fn: LossFn | None = None,
    num_samples: int | None = None,
    offload: bool = False,
    store_directions: bool = False,
    progress: Telling = None,
) -> dict[str, Any]:
    """The loss at weights + x * d1 (+ y * d2), in eval mode, for x and y evenly from -radius to radius.

    Directions are drawn anew from their seeds at every point instead of being stored, on the CPU and in fp32, so that
    a seed means the same slice on any device. Beside the network there is one copy of the weights that are moved (see
    `offload`) and less than 100 MB. The weights come back bit for bit, after an exception too.

    Args:
        model: The network, left as found.
        dataloader: Batches, read once for every point, so an iterator that is used up after one pass is refused.
        dimensions: 1 for a line, 2 for a plane: grid_points ** dimensions passes over the data.
        grid_points: Points along each axis, 2 or more; an odd number has the network itself in the middle.
        radius: How far to go, in units of each filter's norm; above 0.
        mask: If given, pruned weights are and stay zero: the network is masked first, and the directions have no part
            there, so that their filters are scaled to the norm of the kept weights. That is the landscape that
            training of the ticket sees.
        seed: Decides the directions.
        exclude: Patterns of parameters that are not moved, as in `prunable`.
        loss_fn: loss_fn(outputs, targets); None: the network's own or the usual one, see `batch_loss`.
        num_samples: Samples to measure on at each point; None: all.
        offload: Keep the copy of the weights in host memory.
        store_directions: Keep the directions, 4 bytes for each moved weight and dimension, beside the weights. The
            result is the same; it is faster where drawing numbers takes longer than the data.
        progress: Who is told.

    Returns:
        x, and y with two dimensions: coordinates, fp64 tensors of [grid_points] on the CPU; loss: fp64 of
        [grid_points], or [grid_points, grid_points] where loss[i, j] is at x[i], y[j] (infinite or NaN where it is
        so); center_loss, at the weights themselves; seed, radius, grid_points, dimensions; moved, the number of
        weights that move; masked, whether pruned weights were held at zero; normalization, "filter".

    Raises:
        ValueError: An argument is out of range, the mask does not fit, a pattern matches nothing, or there is nothing
            to move.
    """
    if dimensions not in (1, 2):
        raise ValueError(f"dimensions is {dimensions}: use 1 or 2")
    if not isinstance(grid_points, int) or grid_points < 2:
        raise ValueError(f"grid_points is {grid_points}: use a whole number of 2 or more")
    if not 0 < radius < math.inf:
        raise ValueError(f"radius is {radius}: use a number above 0")
    check_again(dataloader)
    kept = _by_parameter(model, mask or {})
    movable = {
        name: weight.detach()
        for name, weight in model.named_parameters()
        if weight.dim() > 1 and weight.is_floating_point()
    }
    skipped = {name for hits in match(movable, exclude).values() for name in hits}
    moved = {name: weight for name, weight in movable.items() if name not in skipped}
    if not moved:
        raise ValueError("no weight can be moved: the network has none of two or more dimensions")
    seeds = torch.randint(
        1 << 62, (dimensions, len(movable)), generator=torch.Generator().manual_seed(seed)
    )
    stored: dict[str, dict[int, list[Tensor]]] = {n: {} for n in moved if store_directions}
    drawn = {name: seeds[:, place].tolist() for place, name in enumerate(movable)}

    parameters = dict(model.named_parameters())
    axes = reduction_axes(model, {name: parameters[name] for name in moved})

    def loss_at(place: Sequence[float]) -> float:
        for name, weight in moved.items():
            filters, origin = (_filters(one, axes[name]) for one in (weight, origins[name]))
            alive = _filters(kept[name], axes[name]) if name in kept else None
            _move(filters, origin, alive, place, drawn[name], stored.get(name))
        return measure(
            model,
            dataloader,
            loss_fn=loss_fn,
            num_samples=num_samples,
            metric="loss",
            progress=False,
        ).loss

    line = torch.linspace(-radius, radius, grid_points, dtype=torch.float64, device="cpu")
    if grid_points % 2:
        line[grid_points // 2] = 0.0
    axis = line.tolist()
    places = [(x,) for x in axis] if dimensions == 1 else [(x, y) for x in axis for y in axis]
    with preserved(model, training=False), _put_aside(model, moved, kept, offload) as origins:
        center = loss_at([0.0] * dimensions)
        losses = [
            loss_at(place) for place in follow(places, "loss landscape", len(places), progress)
        ]
    return {
        "x": line,
        **({"y": line.clone()} if dimensions == 2 else {}),
        "loss": torch.tensor(losses, dtype=torch.float64).view([grid_points] * dimensions),
        "center_loss": center,
        "dimensions": dimensions,
        "grid_points": grid_points,
        "radius": radius,
        "seed": seed,
        "masked": mask is not None,
        "moved": sum(
            int(kept[name].sum()) if name in kept else weight.numel()
            for name, weight in moved.items()
        ),
        "normalization": "filter",
    }


def _by_parameter(model: nn.Module, mask: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mask by each parameter's first name."""
    everyone = named(model)
    masks.check_fit(dict(mask), {name: everyone[name] for name in mask if name in everyone})
    first = {id(weight): name for name, weight in model.named_parameters()}
    return {first[id(everyone[name])]: kept for name, kept in mask.items()}


@contextmanager
def _put_aside(
    model: nn.Module, moved: Mapping[str, Tensor], kept: Mapping[str, Tensor], offload: bool
) -> Iterator[dict[str, Tensor]]:
    """Copies of the weights that will be moved, masked; afterwards the weights are as they were."""
    touched = {
        name: weight.detach()
        for name, weight in model.named_parameters()
        if name in moved or name in kept
    }
    copies: dict[str, Tensor] = {}
    try:
        for name, weight in touched.items():
            copies[name] = weight.to("cpu", copy=True) if offload else weight.clone()
        for name, alive in kept.items():
            touched[name].masked_fill_(~alive.to(touched[name].device), 0)
        yield copies
    finally:
        for name, copy in copies.items():
            touched[name].copy_(copy)


def _filters(tensor: Tensor, axis: Axis) -> Tensor:
    """A view whose first dimension is that of the outputs, but for transposed convolutions with groups."""
    return tensor.transpose(0, 1) if axis == Axis(0) else tensor


def _move(
    weight: Tensor,
    origin: Tensor,
    kept: Tensor | None,
    place: Sequence[float],
    seeds: Sequence[int],
    stored: dict[int, list[Tensor]] | None,
) -> None:
    """Write origin + sum of place * direction, a few filters at a time, in fp32 and rounded once."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    rows = max(1, PIECE * len(weight) // max(1, weight.numel()))
    for start in range(0, len(weight), rows):
        part = slice(start, start + rows)
        point = origin[part].to(weight.device, torch.promote_types(origin.dtype, torch.float32))
        alive = None if kept is None else kept[part].to(weight.device)
        point = point.clone() if alive is None else point.masked_fill(~alive, 0)
        if any(place):
            directions = None if stored is None else stored.get(start)
            if directions is None:
                directions = [_direction(point, alive, generator) for generator in generators]
            if stored is not None:
                stored[start] = directions
            for step, direction in zip(place, directions, strict=True):
                point.add_(direction, alpha=step)
        weight[part].copy_(point)


def _direction(filters: Tensor, alive: Tensor | None, generator: torch.Generator) -> Tensor:
    """A random direction of the filters' norms, with no part where weights are pruned."""
    drawn = torch.randn(filters.shape, generator=generator, dtype=torch.float32, device="cpu")
    direction = drawn.to(filters.device, filters.dtype)
    if alive is not None:
        direction.masked_fill_(~alive, 0)
    return direction.mul_(_norms(filters) / (_norms(direction) + _SMALLEST))


def _norms(filters: Tensor) -> Tensor:
    """The norm of each row, as [rows, 1, ...]."""
    flat: Tensor = torch.linalg.vector_norm(filters.flatten(1), dim=1)
    return flat.view(-1, *[1] * (filters.dim() - 1))
