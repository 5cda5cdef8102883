"""Fixed choices of images: the same on every machine, for every seed, with every version of every library."""

import hashlib

import numpy as np
import torch
from torch import Tensor

from ticketsmith.engine.data.base import Split


def shuffled(count: int, purpose: str) -> Tensor:
    """A fixed permutation of 0..count-1 (int64), a different one for each purpose.

    Sorts by SplitMix64 of the index (Steele, Lea, Flood 2014, fig. 17), because random generators of
    libraries may change their streams.
    """
    salt = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    with np.errstate(over="ignore"):
        state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += np.uint64(salt)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return torch.from_numpy(np.argsort(state, kind="stable").astype(np.int64))


def hold_out(split: Split, count: int, purpose: str) -> tuple[Split, Split]:
    """(`count` images with each class in its share, the rest), both in the order they came in.

    Shares are rounded by largest remainder, ties to the lower class, so that they add up to `count`.
    """
    order = shuffled(len(split), purpose)
    labels = split.labels[order]
    sizes = torch.bincount(labels)
    wanted = sizes * count // len(split)
    remainders = sizes * count % len(split)
    wanted[remainders.argsort(descending=True, stable=True)[: count - int(wanted.sum())]] += 1
    held = torch.cat([order[labels == label][: int(many)] for label, many in enumerate(wanted)])
    is_held = torch.zeros(len(split), dtype=torch.bool)
    is_held[held] = True
    return split.take(is_held.nonzero().squeeze(1)), split.take((~is_held).nonzero().squeeze(1))
