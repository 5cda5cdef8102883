"""Independent random streams, one for each purpose, from the one seed a round is told."""

import hashlib

import torch


def sub_seed(seed: int, purpose: str, level: int = 0) -> int:
    """A 63-bit seed for one purpose of one replicate.

    The purposes ("init", "order", "train", "reinit", "mask", "score") do not share draws: a control that draws
    a mask sees the same data order as the ticket it is compared with.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{level}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, level: int = 0) -> torch.Generator:
    """A CPU generator at the beginning of that purpose's stream."""
    return torch.Generator().manual_seed(sub_seed(seed, purpose, level))
