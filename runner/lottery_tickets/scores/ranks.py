"""Scores as ranks, which lets scores of different units be added."""

from collections.abc import Mapping

import torch
from torch import Tensor


def ranks(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each score's rank over all tensors together, from 0 (lowest) to 1 (highest); equal scores share their mean rank.

    Sharing, not order, decides ties here: else a thousand scores of 0 would get a thousand different ranks by mere
    position. `select` on ranks picks what it picks on the scores, as long as fp32 tells the ranks apart: up to
    2^24 weights exactly; beyond, neighbours may tie. It sorts: about 30 bytes a weight meanwhile.

    Returns:
        Name -> fp32 ranks of the score's shape, on its device. A single weight has rank 1.

    Raises:
        ValueError: A score is NaN.
    """
    tensors = {name: score.detach() for name, score in scores.items() if score.numel()}
    if not tensors:
        return {name: torch.zeros_like(s, dtype=torch.float32) for name, s in scores.items()}
    device = next(iter(tensors.values())).device
    flat = torch.cat([score.reshape(-1).float().to(device) for score in tensors.values()])
    for name, score in tensors.items():
        if torch.isnan(score).any():
            place = tuple(score.isnan().nonzero()[0].tolist())
            raise ValueError(
                f"the score of {name!r} at index {place} is NaN: scores must be numbers"
            )
    values, places = flat.sort()
    _, group, counts = torch.unique_consecutive(values, return_inverse=True, return_counts=True)
    del values
    # The mean of the places first..last of each group of equals.
    last = counts.cumsum(0) - 1
    mean = (last - (counts - 1) / 2).double() / max(1, len(flat) - 1)
    if len(flat) == 1:
        mean = torch.ones_like(mean)
    flat[places] = mean.float()[group]
    parts = iter(torch.split(flat, [score.numel() for score in tensors.values()]))
    return {
        name: next(parts).view(score.shape).to(score.device)
        if name in tensors
        else torch.zeros_like(score, dtype=torch.float32)
        for name, score in scores.items()
    }
