"""Batches as users have them: a tensor, a pair of inputs and targets, or a dict as Hugging Face models take it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

Batch = Tensor | Sequence[Any] | Mapping[str, Any]
"""A tensor of inputs; (inputs, targets), of which inputs may be nested; or keyword arguments of the network.

The first dimension of every tensor counts the samples."""


def move(batch: Any, device: torch.device | str) -> Any:
    """The batch with its tensors on `device`, in the same nesting; what is no tensor stays."""
    return changed(batch, lambda tensor: tensor.to(device))


def changed(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The batch with `change(tensor)` in place of each tensor, in the same nesting; what is no tensor stays."""
    if isinstance(batch, Tensor):
        return change(batch)
    return _rebuilt(batch, lambda inner: changed(inner, change))


def size(batch: Batch) -> int:
    """How many samples the batch holds.

    Raises:
        ValueError: It holds no tensor with a first dimension, or its tensors disagree.
    """
    lengths = {len(tensor) for tensor in tensors(batch) if tensor.dim()}
    if len(lengths) != 1:
        found = f"tensors of {sorted(lengths)} samples" if lengths else f"a {type(batch).__name__}"
        raise ValueError(
            f"a batch holds {found}: give a tensor, (inputs, targets) or a dict of tensors, with the samples first"
        )
    return lengths.pop()


def part(batch: Any, start: int, stop: int) -> Any:
    """Samples `start` to `stop` of the batch, as views; what has no samples stays."""
    if isinstance(batch, Tensor):
        return batch[start:stop] if batch.dim() else batch
    return _rebuilt(batch, lambda inner: part(inner, start, stop))


def samples(batch: Batch) -> Iterator[Batch]:
    """Each sample as a batch of its own."""
    for index in range(size(batch)):
        yield part(batch, index, index + 1)


def batches(
    dataloader: Iterable[Batch],
    *,
    num_samples: int | None = None,
    device: torch.device | str | None = None,
) -> Iterator[Batch]:
    """The batches, on `device`; with `num_samples` the last one is cut so that they hold exactly that many samples.

    Raises:
        ValueError: The loader is empty, or ends before `num_samples`. With `num_samples` below 1.
    """
    if num_samples is not None and num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}: use 1 or more")
    seen, empty = 0, True
    for batch in dataloader:
        count = size(batch) if num_samples is not None else 1
        if num_samples is not None and seen + count > num_samples:
            count = num_samples - seen
            batch = part(batch, 0, count)
        seen, empty = seen + count, empty and not count
        if count:
            yield batch if device is None else move(batch, device)
        if num_samples is not None and seen == num_samples:
            return
    if empty:
        raise ValueError(
            "dataloader gave no batch: give one that has samples, and can be iterated again if it has been used up"
        )
    if num_samples is not None:
        raise ValueError(
            f"dataloader holds {seen} samples, fewer than num_samples {num_samples}: ask for {seen} or give more"
        )


def device_of(model: nn.Module) -> torch.device:
    """Where the network's first tensor lies; the CPU if it has none."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def tensors(batch: Any) -> Iterator[Tensor]:
    """Each tensor of the batch, in the order in which `changed` meets them."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from tensors(value)
    elif isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        for value in batch:
            yield from tensors(value)


def _rebuilt(batch: Any, change: Callable[[Any], Any]) -> Any:
    """The same nesting of changed parts."""
    if isinstance(batch, Mapping):
        # Hugging Face's BatchEncoding and other mappings: networks take any mapping by keyword.
        return {name: change(value) for name, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(change(value) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(change(value) for value in batch)
    return batch
