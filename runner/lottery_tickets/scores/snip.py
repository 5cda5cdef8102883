"""SNIP: how much the loss feels each connection, before training."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from lottery_tickets.running import Batch, LossFn, Telling
from lottery_tickets.scores.checks import scorable, warn_of_silent
from lottery_tickets.scores.gradient import mean_gradient


def snip(
    model: nn.Module,
    dataloader: Iterable[Batch],
    num_samples: int | None = None,
    *,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    training: bool = True,
    progress: Telling = None,
) -> dict[str, Tensor]:
    """|w dL/dw| over its sum, L the mean loss (Lee et al. 2019, 1810.02340, section 4.1, equation 5).

    dL/dc of the connection c that multiplies w is w dL/dw at c = 1. The paper scores freshly initialised networks
    on one batch: give a loader of one batch, or `num_samples`.

    Args:
        training: True, as at initialisation batch norm has no statistics but the batch's own. Dropout then draws from
            torch's global generator: set p = 0 for scores that can be repeated.
        model, dataloader, num_samples, loss_fn, exclude, progress: See `gradient`.

    Returns:
        Name -> fp32 scores of the weight's shape, which sum to 1 over all tensors (or are all 0).

    Raises:
        ValueError: See `gradient`.
    """
    weights = scorable(model, exclude)
    scores = mean_gradient(
        model,
        weights,
        dataloader,
        num_samples=num_samples,
        loss_fn=loss_fn,
        training=training,
        doing="snip",
        progress=progress,
    )
    warn_of_silent(scores)
    for name, score in scores.items():
        score.mul_(weights[name].detach()).abs_()
    total = sum(float(score.sum(dtype=torch.float64)) for score in scores.values())
    return {name: score.div_(total or 1.0) for name, score in scores.items()}
