"""GraSP: keep the weights that keep the gradient flowing, before training."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lottery_tickets.running import (
    Batch,
    LossFn,
    Telling,
    batch_loss,
    batches,
    follow,
    preserved,
    size,
)
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.losses import differentiable
from lottery_tickets.running.preserve import require_only
from lottery_tickets.scores.checks import refuse_broken, scorable, warn_of_silent
from lottery_tickets.scores.gradient import mean_gradient


def grasp(
    model: nn.Module,
    dataloader: Iterable[Batch],
    num_samples: int | None = None,
    *,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    training: bool = True,
    progress: Telling = None,
) -> dict[str, Tensor]:
    """w · (H g): g and H the gradient and the Hessian of the mean loss (Wang et al. 2020, 2002.07376, section 4).

    The sign: the paper's S = -w · (H g) is, to first order and up to the factor 2, how much |g|² grows when the weight
    is removed, and it removes the largest S. Here higher is kept longer, so this is -S: a high score says that
    without this weight the gradient would become smaller. Scores have both signs.

    Both are taken over all prunable weights that are not excluded, H g by a second backward pass through the first.
    That needs the graph of the gradients of one batch and attention in its plain form, which this chooses: several
    times the memory of a training step. The authors' code divides the outputs by 200 before the loss; a `loss_fn`
    can do that.

    Args:
        dataloader: It is read once; the batches are held in memory, since both passes must see the same.
        training: See `snip`. With dropout the two passes draw different ones: set p = 0.
        model, num_samples, loss_fn, exclude, progress: See `gradient`.

    Returns:
        Name -> fp32 scores of the weight's shape, on its device; 0 where no gradient arrives.

    Raises:
        ValueError: See `gradient`.
    """
    weights = scorable(model, exclude)
    held = list(batches(dataloader, num_samples=num_samples))
    mean = mean_gradient(
        model,
        weights,
        held,
        num_samples=None,
        loss_fn=loss_fn,
        training=training,
        doing="grasp",
        progress=progress,
    )
    products = {name: torch.zeros_like(gradient) for name, gradient in mean.items()}
    seen = sum(size(batch) for batch in held)
    with preserved(model, training=training), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        require_only(model, weights.values())
        for batch in follow(batches(held, device=device_of(model)), "grasp", len(held), progress):
            loss = differentiable(batch_loss(model, batch, loss_fn))
            for name, product in hessian_times(loss, weights, mean).items():
                products[name].add_(product, alpha=size(batch) / seen)
    for name, product in products.items():
        product.mul_(weights[name].detach())
    refuse_broken(products, "the grasp score")
    warn_of_silent(products, "gradient that changes with the weights")
    return products


def hessian_times(
    loss: Tensor, weights: dict[str, nn.Parameter], vector: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The Hessian of the loss times the vector, for those weights that have one."""
    first = torch.autograd.grad(loss, list(weights.values()), create_graph=True, allow_unused=True)
    # A gradient that does not depend on any weight (a linear loss) adds nothing to H.
    alive = {
        name: gradient
        for name, gradient in zip(weights, first, strict=True)
        if gradient is not None and gradient.requires_grad
    }
    if not alive:
        return {}
    along = torch.stack(
        [(gradient.float() * vector[name]).sum() for name, gradient in alive.items()]
    )
    second = torch.autograd.grad(along.sum(), list(weights.values()), allow_unused=True)
    return {
        name: product for name, product in zip(weights, second, strict=True) if product is not None
    }
