"""Whether a network is pruned as its mask says: every check by name, each with a sentence."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.judging.controls import seeded
from lottery_tickets.judging.performance import (
    DEFINITIONS,
    Metric,
    check_fraction,
    check_metric,
    check_number,
    chosen,
    figure,
    measure,
    retention,
)
from lottery_tickets.judging.temporarily import blocks, pruned
from lottery_tickets.modules import named, prunable
from lottery_tickets.running import Batch, LossFn, Telling, batch_loss, batches, move, preserved
from lottery_tickets.running.batches import device_of

_Found = tuple[bool | None, str]
"""Passed, failed, or None for not checked; and the sentence."""


def validate_pruning_correctness(
    model: nn.Module,
    mask: Mapping[str, Tensor],
    dataloader: Iterable[Batch] | None = None,
    original_performance: float | None = None,
    *,
    target_sparsity: float | None = None,
    train_step: Callable[[nn.Module], Any] | None = None,
    loss_fn: LossFn | None = None,
    metric: Metric = "auto",
    num_samples: int | None = None,
    tolerance: float = 0.05,
    progress: Telling = None,
) -> dict[str, Any]:
    """Check a pruned network against its mask. Wrong networks are the finding, not an error: nothing is raised for
    them.

    The checks:

    - mask_fits: each tensor of the mask is bool and has a parameter of its name and shape;
    - pruned_weights_are_zero: every weight that the mask prunes is zero (-0 too);
    - exact_sparsity: of the mask's weights exactly total - round(target_sparsity * total) are kept; needs
      `target_sparsity`;
    - finite_weights: no parameter or buffer holds NaN or an infinity;
    - no_empty_layer: the mask keeps at least one weight of each tensor (the layer collapse of Tanaka et al. 2020,
      2006.05467, section 3);
    - no_dead_path: on the first batch, the loss has a gradient other than zero for at least one kept weight of each
      tensor, so that the layer is joined to input and output by kept weights; needs `dataloader`, and room for the
      gradients of the mask's weights;
    - finite_gradients: those gradients are numbers; needs `dataloader`;
    - pruned_gradients: gradients that the parameters hold now are zero where the mask prunes. Where they are not, an
      optimizer step revives weights unless the mask is applied after it, which `stays_pruned` looks at: passed if that
      passes, else not checked;
    - stays_pruned: after train_step(model) every pruned weight is still zero; needs `train_step`;
    - performance: retention against `original_performance` (as in `compute_lottery_ticket_quality`), with the mask
      applied, is at least 1 - tolerance; needs `dataloader` and `original_performance`.

    Args:
        model: The network, left as found.
        mask: Parameter name -> bool tensor, True is kept.
        dataloader: Batches.
        original_performance: The dense network's accuracy, metric or loss, whichever `metric` means.
        target_sparsity: What the mask should prune, in [0, 1).
        train_step: train_step(model) trains a step or more, as your training does, with the mask kept as your training
            keeps it. The weights are brought back (one copy of them); the state of your optimizer is not.
        loss_fn: loss_fn(outputs, targets); None: the network's own or the usual one, see `batch_loss`.
        metric: See `compute_lottery_ticket_quality`.
        num_samples: Samples to measure performance on; None: all.
        tolerance: Fraction of the performance that may be lost, in [0, 1).
        progress: Who is told.

    Returns:
        valid: whether no check failed; failed and not_checked: names; checks: name -> {passed: True, False or None for
        not checked; message}; sparsity, kept, total; performance and performance_retention, None where not measured.

    Raises:
        ValueError: An argument of the check itself is wrong (tolerance, target, metric, data, loss).
    """
    check_fraction("tolerance", tolerance)
    if target_sparsity is not None:
        check_fraction("target_sparsity", target_sparsity)
    check_metric(metric)
    if original_performance is not None:
        if dataloader is None:
            raise ValueError(
                "original_performance is given without data: pass the dataloader it was measured on"
            )
        check_number("original_performance", original_performance)
    first: Batch | None = None
    if dataloader is not None:
        dataloader, first = _with_first(dataloader)
    kept = dict(mask)
    parameters = {name: w.detach() for name, w in named(model).items() if name in kept}
    found: dict[str, _Found] = {"mask_fits": _fits(model, kept, parameters)}
    fits = bool(found["mask_fits"][0])
    counts = masks.counts(kept)
    left, total = (sum(part) for part in zip(*counts.values(), strict=True)) if kept else (0, 0)
    found["pruned_weights_are_zero"] = _zeros(kept, parameters) if fits else _UNFIT
    found["exact_sparsity"] = _exact(left, total, target_sparsity)
    found["finite_weights"] = _finite(model)
    found["no_empty_layer"] = _none_empty(counts)
    found["no_dead_path"], found["finite_gradients"] = (
        _paths(model, kept, first, loss_fn) if fits else (_UNFIT, _UNFIT)
    )
    found["stays_pruned"] = _stays(model, kept, train_step) if fits else _UNFIT
    found["pruned_gradients"] = (
        _gradients(model, kept, found["stays_pruned"][0]) if fits else _UNFIT
    )
    measured = kept_share = None
    if fits and dataloader is not None and original_performance is not None:
        with preserved(model, training=False), pruned(model, kept):
            ticket = measure(
                model,
                dataloader,
                loss_fn=loss_fn,
                metric=metric,
                num_samples=num_samples,
                progress=progress,
            )
        name = chosen(metric, ticket)
        measured = figure(ticket, name)
        kept_share = retention(original_performance, measured, name)
        found["performance"] = (
            kept_share >= 1 - tolerance,
            f"{name.capitalize()} is {measured:.6g} against {original_performance:.6g} of the original: "
            f"{DEFINITIONS[name]} is {kept_share:.4f}, and {1 - tolerance:g} is asked for.",
        )
    else:
        found["performance"] = (
            _UNFIT if not fits else (None, "Not checked: give dataloader and original_performance.")
        )
    return {
        "valid": not any(passed is False for passed, _ in found.values()),
        "failed": [name for name, (passed, _) in found.items() if passed is False],
        "not_checked": [name for name, (passed, _) in found.items() if passed is None],
        "checks": {n: {"passed": passed, "message": said} for n, (passed, said) in found.items()},
        "sparsity": 1 - left / total if total else 0.0,
        "kept": left,
        "total": total,
        "performance": measured,
        "performance_retention": kept_share,
    }


_UNFIT: _Found = (None, "Not checked: the mask does not fit the network.")


def _with_first(dataloader: Iterable[Batch]) -> tuple[Iterable[Batch], Batch]:
    """The data whole, and its first batch, of a loader that may be read once only."""
    stream = iter(dataloader)
    first = next(iter(batches(stream)))
    if stream is dataloader:
        return _Again(first, stream), first
    return dataloader, first


class _Again(Iterable[Batch]):
    def __init__(self, first: Batch, rest: Iterable[Batch]) -> None:
        self.first, self.rest = first, rest

    def __iter__(self) -> Any:
        yield self.first
        yield from self.rest


def _fits(model: nn.Module, mask: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> _Found:
    try:
        masks.check_fit(dict(mask), dict(parameters))
    except ValueError as error:
        return False, f"{str(error)[0].upper()}{str(error)[1:]}."
    if not mask:
        return False, "The mask names no tensor."
    everyone = named(model)
    covered = {id(everyone[name]) for name in mask}
    open_ = [name for name, weight in prunable(model).items() if id(weight) not in covered]
    said = f"All {len(mask)} tensors of the mask fit a parameter"
    return True, f"{said}; {len(open_)} prunable weights have no mask." if open_ else f"{said}."


def _zeros(mask: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> _Found:
    wrong = _alive(mask, parameters)
    if wrong:
        return False, f"{_listed(wrong)} pruned weights are not zero: apply the mask."
    return True, "Every pruned weight is zero."


def _alive(mask: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Name -> how many pruned weights are not zero, where there are any; NaN is not zero."""
    counts = {
        name: sum(
            int((~alive.to(values.device) & (values != 0)).sum())
            for values, alive in blocks(tensors[name].detach(), kept)
        )
        for name, kept in mask.items()
        if name in tensors
    }
    return {name: count for name, count in counts.items() if count}


def _exact(left: int, total: int, target: float | None) -> _Found:
    if target is None:
        return None, f"Not checked: give target_sparsity. {left:,} of {total:,} weights are kept."
    wanted = total - round(target * total)
    said = f"{left:,} of {total:,} weights are kept"
    if left == wanted:
        return True, f"{said}, as sparsity {target:g} asks."
    return False, f"{said}, but sparsity {target:g} asks for {wanted:,}."


def _finite(model: nn.Module) -> _Found:
    wrong = {
        name: count
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        if tensor.is_floating_point()
        and (count := tensor.numel() - int(torch.isfinite(tensor.detach()).sum()))
    }
    if wrong:
        return False, f"{_listed(wrong)} values are NaN or infinite: the network is broken."
    return True, "Every parameter and buffer is a number."


def _none_empty(counts: Mapping[str, tuple[int, int]]) -> _Found:
    empty = [name for name, (left, total) in counts.items() if total and not left]
    if empty:
        return False, f"The mask keeps no weight of {', '.join(empty)}: no signal passes there."
    return True, "Every layer keeps at least one weight."


def _paths(
    model: nn.Module, mask: Mapping[str, Tensor], batch: Batch | None, loss_fn: LossFn | None
) -> tuple[_Found, _Found]:
    """The gradients of one batch's loss, in eval mode with the mask applied; they are all there at once."""
    if batch is None:
        missing: _Found = (None, "Not checked: give a dataloader.")
        return missing, missing
    weights = {name: weight for name, weight in named(model).items() if name in mask}
    with preserved(model, training=False), pruned(model, mask), _backward_of(model):
        for weight in weights.values():
            weight.requires_grad_(True)
        loss = batch_loss(model, move(batch, device_of(model)), loss_fn)
        if not loss.requires_grad:
            return (False, "The loss depends on none of the mask's weights."), (
                None,
                "Not checked: there are no gradients.",
            )
        names = list(weights)
        found = torch.autograd.grad(loss, [weights[name] for name in names], allow_unused=True)
    dead: list[str] = []
    broken: dict[str, int] = {}
    for name, gradient in zip(names, found, strict=True):
        if gradient is None or not (mask[name].to(gradient.device) & (gradient != 0)).any():
            dead.append(name)
        if gradient is not None:
            count = gradient.numel() - int(torch.isfinite(gradient).sum())
            broken |= {name: count} if count else {}
    joined: _Found = (
        (False, f"On the first batch no kept weight of {', '.join(dead)} has a gradient.")
        if dead
        else (True, "On the first batch kept weights of every layer have gradients.")
    )
    sound: _Found = (
        (False, f"On the first batch {_listed(broken)} gradients are NaN or infinite.")
        if broken
        else (True, "On the first batch every gradient is a number.")
    )
    return joined, sound


def _backward_of(model: nn.Module) -> AbstractContextManager[Any]:
    """cuDNN differentiates recurrent layers in training mode only; without it torch does in eval mode too."""
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return torch.backends.cudnn.flags(enabled=False)
    return nullcontext()


def _gradients(model: nn.Module, mask: Mapping[str, Tensor], stays: bool | None) -> _Found:
    gradients = {
        name: weight.grad
        for name, weight in named(model).items()
        if name in mask and weight.grad is not None
    }
    if not gradients:
        return None, "Not checked: the parameters hold no gradients now."
    wrong = _alive(mask, gradients)
    if not wrong:
        return True, "The gradients that the parameters hold are zero where the mask prunes."
    said = f"{_listed(wrong)} pruned weights hold gradients"
    if stays:
        return True, f"{said}, but training keeps them pruned (stays_pruned)."
    return None, f"{said}: apply the mask after every step, and pass train_step to have it checked."


def _stays(
    model: nn.Module, mask: Mapping[str, Tensor], train_step: Callable[[nn.Module], Any] | None
) -> _Found:
    if train_step is None:
        return None, "Not checked: give train_step."
    with preserved(model, training=True, weights=True), seeded(torch.initial_seed()):
        masks.apply(model, dict(mask))
        train_step(model)
        wrong = _alive(mask, named(model))
    if wrong:
        return False, (
            f"{_listed(wrong)} pruned weights are revived by train_step: apply the mask after every optimizer step "
            "(momentum and weight decay move weights whose gradient is zero)."
        )
    return True, "After train_step every pruned weight is still zero."


def _listed(counts: Mapping[str, int]) -> str:
    """12 of a.weight, 3 of b.weight."""
    return ", ".join(f"{count:,} of {name}'s" for name, count in counts.items())
