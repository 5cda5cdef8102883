"""Scores as ranks, which lets scores of different units be added."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lottery_tickets.spearman import mean_ranks


def ranks(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each score's rank over all tensors together, from 0 (lowest) to 1 (highest); equal scores share their mean rank.

    Sharing, not order, decides ties here: else a thousand scores of 0 would get a thousand different ranks by mere
    position. `select` on ranks picks what it picks on the scores, as long as fp32 tells the ranks apart: up to
    2^24 weights exactly; beyond, neighbours may tie. It sorts: 20 bytes a weight meanwhile.

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
    if len(flat) == 1:
        flat.fill_(1)
    else:
        mean_ranks(flat, out=flat, scale=1 / (len(flat) - 1))
    parts = iter(torch.split(flat, [score.numel() for score in tensors.values()]))
    return {
        name: next(parts).view(score.shape).to(score.device)
        if name in tensors
        else torch.zeros_like(score, dtype=torch.float32)
        for name, score in scores.items()
    }
