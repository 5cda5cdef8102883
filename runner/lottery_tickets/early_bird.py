"""Early-bird tickets: the mask that a network has long before it is trained (You et al. 2020, 1909.11957)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypedDict

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from lottery_tickets import masks
from lottery_tickets.finding.stability import (
    Check,
    Distance,
    Queue,
    Rule,
    Sample,
    agreement_by_chance,
)
from lottery_tickets.levels import Scope
from lottery_tickets.masks import Mask
from lottery_tickets.modules import match, prunable
from lottery_tickets.prune import prune
from lottery_tickets.running import Batch, LossFn, Telling, batch_loss, batches, follow
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.lending import lent
from lottery_tickets.running.losses import differentiable

Unit = Literal["weight", "channel"]
Optimizers = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
"""optimizer([parameter]) -> an optimizer of this parameter alone."""

AUTHORS_THRESHOLD = 0.9
"""A normalised Hamming distance of 0.1 (section 4)."""
SPEARMAN_THRESHOLD = 0.95
AUTHORS_LR = 0.1
ADAMW_LR = 1e-3


class EarlyBird(TypedDict):
    """What came of a search for an early-bird ticket."""

    converged: bool
    convergence_epoch: int | None
    """Epochs trained when the mask was found stable; None if it never was."""
    final_mask: Mask
    """The exact mask of the last weights, converged or not; of the batch norms' scales for unit "channel"."""
    sparsity: float
    epochs: int
    """Epochs trained."""
    checks: list[Check]
    losses: list[float]
    """Mean training loss of each epoch."""
    distance: Distance
    convergence_threshold: float
    sampled: int
    """Weights whose masks were compared at each check."""
    prunable: int
    """Weights that may be pruned (or channels)."""
    standard_error: float
    """Of the distances, at most; 0 if all weights were compared."""


def compute_early_bird_tickets(
    model: nn.Module,
    dataloader: Iterable[Batch],
    max_epochs: int = 30,
    use_sgd: bool = True,
    check_interval: int = 1,
    convergence_threshold: float | None = None,
    target_sparsity: float = 0.5,
    *,
    distance: Distance = "hamming",
    queue_length: int = 5,
    unit: Unit = "weight",
    scope: Scope = "global",
    exclude: Sequence[str] = (),
    lr: float | None = None,
    weight_decay: float = 0.0,
    optimizer: Optimizers | None = None,
    scale_penalty: float = 1e-4,
    loss_fn: LossFn | None = None,
    sample_size: int = 1 << 20,
    generator: torch.Generator | None = None,
    restore: bool = True,
    progress: Telling = None,
) -> EarlyBird:
    """Train until the magnitude mask stops changing, and return that mask (You et al. 2020, algorithm 1).

    After every `check_interval` epochs the mask of the present weights enters a queue of `queue_length`. The ticket has
    emerged when the newest agrees with each of the others in at least `convergence_threshold` of all places. Training
    stops there, or after `max_epochs`.

    The optimizer steps inside backward, parameter by parameter, and drops each gradient at once: they never pile up.
    Beside weights and activations there is one gradient at a time, what the optimizer keeps (nothing for SGD), and
    about 45 MB for the sample. So there is no clipping by a global norm, and no accumulation over batches.

    Args:
        model: Any network with weights that require gradients.
        dataloader: Batches of an epoch, see `Batch`; iterated once an epoch.
        max_epochs: Epochs at most; at least `queue_length` * `check_interval`, or no ticket could ever be found.
        use_sgd: Plain SGD; False: AdamW, which keeps two more values a weight. How far their rankings agree is a
            matter of network and data: compare the masks (`compute_ticket_overlap`).
        check_interval: Epochs between two checks.
        convergence_threshold: An agreement in (0, 1]. "hamming": 1 - the largest normalised Hamming distance, by
            default 0.9, the authors' distance of 0.1. "spearman": the lowest rank correlation, by default 0.95.
        target_sparsity: Fraction pruned by the masks, in (0, 1). For "spearman" only the final mask depends on it.
        distance: "hamming" between masks (the authors'), or "spearman" between the rankings of |w|.
        queue_length: Masks compared, from 2 up; 5 is the authors'. Their code has the mask of the initialisation enter
            the queue too; the paper, and this, begin after the first epoch.
        unit: "weight": the prunable weights by magnitude. "channel": the scales of the batch norms, trained with
            `scale_penalty` * sign added to their gradients, which is what the authors prune (section 4).
        scope: "global" or "layer", see `prune`. `exclude`: patterns, see `prunable`.
        lr: 0.1 for SGD (the authors'), 1e-3 for AdamW. Constant. `weight_decay` for either.
        optimizer: Instead of both, e.g. `lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)`; it is called once for
            each parameter.
        scale_penalty: For unit "channel"; 1e-4 is the authors'.
        loss_fn: See `batch_loss`.
        sample_size: With more weights than this, masks are compared on so many of them (drawn once, with replacement,
            doubles dropped), which costs the distances an error of at most `standard_error` (one sigma).
        generator: Draws that sample; None: always the same sample.
        restore: Bring weights and buffers back to what they were; this keeps a copy on the host. False leaves the
            trained ones, from which the authors go on training the ticket.
        progress: See `follow`.

    Returns:
        See `EarlyBird`. Mode, gradients, hooks and requires_grad are left as found.

    Raises:
        ValueError: One sentence: an argument out of range, a threshold that unrelated masks would pass, no data, a loss
            without gradient, NaN or infinite, an iterator that one epoch would use up.

    Weights in bf16 or fp16 lose updates smaller than half their last place, so their masks can look stable early.
    """
    threshold = _threshold(convergence_threshold, distance, target_sparsity)
    _check_counts(max_epochs, check_interval, queue_length, sample_size)
    if scope not in ("global", "layer"):
        raise ValueError(f"scope is {scope!r}: use 'global' or 'layer'")
    if isinstance(dataloader, Iterator):
        raise ValueError(
            "dataloader is an iterator, which the first epoch would use up: pass what can be iterated again, e.g. a "
            "DataLoader or a list of batches"
        )
    make = optimizer or _optimizers(use_sgd, lr, weight_decay)
    if optimizer is not None and lr is not None:
        raise ValueError("lr and optimizer are both given: give the rate inside optimizer")
    weights = _weights(model, unit, exclude)
    penalised = weights.values() if unit == "channel" and scale_penalty else ()
    sample = Sample(weights, sample_size, generator)
    queue = Queue(Rule(distance, threshold, target_sparsity, scope, queue_length))
    checks: list[Check] = []
    losses: list[float] = []
    found = None

    with lent(model, restore=restore), _stepping(model, make, penalised, scale_penalty):
        for epoch in range(1, max_epochs + 1):
            doing = f"epoch {epoch} of at most {max_epochs}"
            losses.append(_train(model, dataloader, loss_fn, doing, progress))
            if epoch % check_interval:
                continue
            checks.append(queue.look(sample.take(weights), epoch))
            if queue.stable(checks[-1]):
                found = epoch
                break
        mask = prune(weights, target_sparsity=target_sparsity, scope=scope)
    return {
        "converged": found is not None,
        "convergence_epoch": found,
        "final_mask": mask,
        "sparsity": masks.sparsity(mask),
        "epochs": len(losses),
        "checks": checks,
        "losses": losses,
        "distance": distance,
        "convergence_threshold": threshold,
        "sampled": sample.size,
        "prunable": sample.of,
        "standard_error": sample.standard_error,
    }


def _train(
    model: nn.Module,
    dataloader: Iterable[Batch],
    loss_fn: LossFn | None,
    doing: str,
    progress: Telling,
) -> float:
    """One epoch; returns the mean of its batches' losses."""
    total, steps = 0.0, 0
    device = device_of(model)
    try:
        length = len(dataloader)  # type: ignore[arg-type]  # some have none
    except TypeError:
        length = None
    for batch in follow(batches(dataloader, device=device), doing, length, progress):
        loss = differentiable(batch_loss(model, batch, loss_fn))
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
        steps += 1
    return total / steps


@contextmanager
def _stepping(
    model: nn.Module, make: Optimizers, penalised: Iterable[Tensor], penalty: float
) -> Iterator[None]:
    """Inside, backward ends with a step of every parameter as soon as its gradient is whole, and drops the gradient."""
    wanted = {id(parameter) for parameter in penalised}
    handles: list[RemovableHandle] = []

    def stepper(parameter: nn.Parameter) -> Callable[[Tensor], None]:
        own = make([parameter])

        def step(_: Tensor) -> None:
            if id(parameter) in wanted and parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=penalty)
            own.step()
            parameter.grad = None

        return step

    try:
        for parameter in filter(lambda p: p.requires_grad, model.parameters()):
            step = stepper(parameter)
            handle = parameter.register_post_accumulate_grad_hook(step)  # type: ignore[no-untyped-call]
            handles.append(handle)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _optimizers(use_sgd: bool, lr: float | None, weight_decay: float) -> Optimizers:
    rate = (AUTHORS_LR if use_sgd else ADAMW_LR) if lr is None else lr
    if not rate > 0:
        raise ValueError(f"lr is {lr}: use a rate above 0")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay is {weight_decay}: use 0 or more")
    # One tensor each: torch's ways of stepping many at once would only copy.
    if use_sgd:
        return lambda p: torch.optim.SGD(p, lr=rate, weight_decay=weight_decay, foreach=False)
    return lambda p: torch.optim.AdamW(p, lr=rate, weight_decay=weight_decay, foreach=False)


def _weights(model: nn.Module, unit: Unit, exclude: Sequence[str]) -> dict[str, nn.Parameter]:
    """What the masks are of."""
    if unit == "weight":
        weights = prunable(model, exclude)
        if not weights:
            raise ValueError(
                "no weight can be pruned: the network has none that is prunable and not excluded"
            )
        return weights
    if unit != "channel":
        raise ValueError(f"unit is {unit!r}: use 'weight' or 'channel'")
    scales = {id(m.weight) for m in model.modules() if isinstance(m, _BatchNorm) and m.affine}
    named = {name: one for name, one in model.named_parameters() if id(one) in scales}
    excluded = {name for hits in match(named, exclude).values() for name in hits}
    left = {name: one for name, one in named.items() if name not in excluded}
    if not left:
        raise ValueError(
            "unit 'channel' ranks the scales of batch norms, and the network has none that is not excluded: use "
            "unit='weight'"
        )
    return left


def _threshold(given: float | None, distance: Distance, target_sparsity: float) -> float:
    """The agreement that is asked for, if it can tell a stable mask from any other."""
    if distance not in ("hamming", "spearman"):
        raise ValueError(f"distance is {distance!r}: use 'hamming' or 'spearman'")
    if not 0 < target_sparsity < 1:
        raise ValueError(f"target_sparsity is {target_sparsity}: use a fraction in (0, 1)")
    usual = AUTHORS_THRESHOLD if distance == "hamming" else SPEARMAN_THRESHOLD
    threshold = usual if given is None else given
    if not 0 < threshold <= 1:
        raise ValueError(
            f"convergence_threshold is {given}: use an agreement in (0, 1], e.g. {usual} (1 - the largest normalised "
            f"Hamming distance, or the lowest rank correlation)"
        )
    chance = agreement_by_chance(target_sparsity)
    if distance == "hamming" and threshold <= chance:
        raise ValueError(
            f"convergence_threshold {threshold} is met by unrelated masks, which agree in {chance:.4g} of all places "
            f"at target_sparsity {target_sparsity}: use more, e.g. {1 - (1 - chance) / 5:.3g} (1 - a Hamming distance)"
        )
    return threshold


def _check_counts(
    max_epochs: int, check_interval: int, queue_length: int, sample_size: int
) -> None:
    for name, value, least in (
        ("max_epochs", max_epochs, 1),
        ("check_interval", check_interval, 1),
        ("queue_length", queue_length, 2),
        ("sample_size", sample_size, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}: use {least} or more")
    if max_epochs < queue_length * check_interval:
        raise ValueError(
            f"max_epochs {max_epochs} ends before {queue_length} masks are compared, one every {check_interval} "
            f"epochs: use at least {queue_length * check_interval}, or a smaller queue_length"
        )
