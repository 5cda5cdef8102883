"""One call for every score."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lottery_tickets.running import Batch, LossFn, Telling
from lottery_tickets.scores.hybrid import compute_hybrid_importance
from lottery_tickets.scores.methods import Single, single

Method = Literal[Single, "hybrid"]


def importance(
    model: nn.Module,
    method: Method,
    dataloader: Iterable[Batch] | None = None,
    *,
    loss_fn: LossFn | None = None,
    num_samples: int | None = None,
    generator: torch.Generator | None = None,
    weights: Mapping[str, float] | None = None,
    target_sparsity: float | None = None,
    exclude: Sequence[str] = (),
    progress: Telling = None,
) -> dict[str, Tensor]:
    """The scores of all prunable weights by the method of this name, ready for `prune(model, score=...)`.

    | method | what | reads |
    |---|---|---|
    | magnitude | absolute value | nothing |
    | random | uniform | `generator` |
    | gradient | absolute mean gradient | data, loss |
    | snip | absolute weight times mean gradient | data, loss |
    | grasp | weight times Hessian times gradient | data twice (held), loss |
    | synflow | share in the flow of ones | one sample's shape |
    | taylor | squared weight times gradient, batch by batch | data, loss |
    | fisher | squared gradient, sample by sample | data, loss |
    | wanda | absolute weight times the norm of its input; for `select_per_output` | data |
    | hybrid | the ranks of several, mixed | what they read |

    Args:
        model: Any network; it is left as it was found, also after an exception.
        method: One of these; the function of that name says more (`compute_fisher_importance`,
            `compute_hybrid_importance`).
        dataloader: Batches, see `Batch`.
        loss_fn: See `batch_loss`.
        num_samples: Samples that are read, exactly. None: all there are. What reads no values (magnitude, random,
            synflow) does not look at it.
        generator: Source of random scores, seeded.
        weights: For "hybrid" alone: method -> its share.
        target_sparsity: For synflow alone: the sparsity its rounds lead to.
        exclude: Patterns of weights that are left out, see `prunable`.
        progress: See `follow`.

    Returns:
        Name -> scores of the weight's shape, on its device, higher = kept longer; fp32, but magnitude in the weights'
        own dtype.

    Raises:
        ValueError: The method is unknown, or lacks what it reads; and what the method itself refuses.
    """
    known: tuple[str, ...] = get_args(Method)
    if method not in known:
        raise ValueError(f"method is {method!r}: use {', '.join(known)}")
    if weights is not None and method != "hybrid":
        raise ValueError(f"weights are for method 'hybrid', not {method!r}: leave them out")
    if method == "hybrid":
        return compute_hybrid_importance(
            model,
            dataloader,
            weights,
            loss_fn=loss_fn,
            num_samples=num_samples,
            generator=generator,
            target_sparsity=target_sparsity,
            exclude=exclude,
            progress=progress,
        )
    return single(
        model,
        method,
        dataloader,
        loss_fn=loss_fn,
        num_samples=num_samples,
        generator=generator,
        target_sparsity=target_sparsity,
        exclude=exclude,
        progress=progress,
    )
