"""The loss of a batch: the caller's, the network's own (Hugging Face's `.loss`), or the usual one for its targets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets.running.batches import Batch

LossFn = Callable[[Any, Any], Tensor]
"""loss_fn(outputs, targets) -> scalar; of a batch that is no pair, the whole batch is given as targets."""


def outputs_of(model: nn.Module, batch: Batch) -> Any:
    """What the network answers: to model(**batch) for a dict, to the inputs alone for (inputs, targets)."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(batch[0] if is_pair(batch) else batch)


def is_pair(batch: Batch) -> bool:
    """Whether it is (inputs, targets)."""
    return isinstance(batch, Sequence) and not isinstance(batch, Tensor) and len(batch) == 2


def targets_of(batch: Batch) -> Any:
    """The targets of a pair, `labels` of a dict, else the batch itself."""
    if isinstance(batch, Mapping):
        return batch.get("labels", batch)
    return batch[1] if is_pair(batch) else batch


def batch_loss(model: nn.Module, batch: Batch, loss_fn: LossFn | None = None) -> Tensor:
    """The scalar loss of one batch, with its graph.

    Args:
        batch: See `Batch`; on the network's device.
        loss_fn: loss_fn(outputs, targets), e.g. `nn.CrossEntropyLoss()`. None: the outputs' `.loss`, as Hugging Face
            models give it when the batch has labels; else the mean cross-entropy where targets are integers, the mean
            squared error where they are floats of the outputs' shape.

    Raises:
        ValueError: Nobody says what the loss is, or it is no scalar; the sentence says what to give.
    """
    return loss_of(outputs_of(model, batch), batch, loss_fn)


def loss_of(outputs: Any, batch: Batch, loss_fn: LossFn | None = None) -> Tensor:
    """`batch_loss` from what the network answered, for those who need the answer too."""
    loss = _given(outputs, batch, loss_fn) if loss_fn is not None else _usual(outputs, batch)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"the loss is {found}: loss_fn must return one number, e.g. the mean")
    return loss.reshape(())


def differentiable(loss: Tensor) -> Tensor:
    """The loss, if gradients can be had from it and it is a number.

    Raises:
        ValueError: It is NaN or infinite, or no weight has a part in it.
    """
    if not loss.requires_grad:
        raise ValueError(
            "the loss has no gradient: every weight is frozen, or it is computed under torch.no_grad or from detached "
            "tensors: let some weights require gradients, and compute the loss from the network's outputs"
        )
    return finite(loss)


def finite(loss: Tensor) -> Tensor:
    """The loss, if it is a number.

    Raises:
        ValueError: It is NaN or infinite.
    """
    if not torch.isfinite(loss):
        raise ValueError(
            f"the loss is {loss.item()}: look for NaN or infinite values in the weights and in the batch"
        )
    return loss


def _given(outputs: Any, batch: Batch, loss_fn: LossFn) -> Tensor:
    logits = getattr(outputs, "logits", None)
    return loss_fn(outputs if logits is None else logits, targets_of(batch))


def _usual(outputs: Any, batch: Batch) -> Tensor:
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", None)
    if isinstance(loss, Tensor):
        return loss
    logits = outputs if isinstance(outputs, Tensor) else getattr(outputs, "logits", None)
    targets = targets_of(batch)
    if isinstance(logits, Tensor) and isinstance(targets, Tensor) and targets is not batch:
        if not targets.is_floating_point() and logits.shape[:1] == targets.shape[:1]:
            return functional.cross_entropy(logits, targets)
        if targets.is_floating_point() and logits.shape == targets.shape:
            return functional.mse_loss(logits, targets)
    raise ValueError(
        "nothing says what the loss is: pass loss_fn(outputs, targets), or batches of (inputs, targets), or for a "
        "Hugging Face model a dict that has labels"
    )
