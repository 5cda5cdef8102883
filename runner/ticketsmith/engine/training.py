"""The one training loop for every arm: they differ only in the weights, the mask and the step they begin with.

It reads from top to bottom: set up, resume, and then step after step until the duration is used up.
"""

import time
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ticketsmith.engine import guard
from ticketsmith.engine.attempt import Attempt
from ticketsmith.engine.checkpoint import Checkpoint, TrainingState
from ticketsmith.engine.data import Batches, Data
from ticketsmith.engine.evaluation import autocast, evaluate
from ticketsmith.engine.optimizers import optimizer as make_optimizer
from ticketsmith.engine.schedules import schedule
from ticketsmith.engine.seeds import sub_seed
from ticketsmith.engine.tensors import snapshot
from ticketsmith.experiment.results import Evaluation
from ticketsmith.experiment.spec import TrainingSpec


def batches(data: Data, spec: TrainingSpec, seed: int) -> Batches:
    """The training batches of one replicate: the same order for every arm."""
    return Batches(data.train, data, spec.batch_size, seed=sub_seed(seed, "order"), augment=True)


def train(
    model: nn.Module,
    data: Data,
    spec: TrainingSpec,
    *,
    seed: int,
    mask: Mapping[str, Tensor],
    begin: int = 0,
    checkpoint: Checkpoint | None = None,
    attempt: Attempt | None = None,
) -> TrainingState:
    """Train `model` in place from step `begin` (or the checkpoint's) to the end of `spec.duration`.

    Learning rate and data order go on from step `begin` as if the steps before it had been trained, so that a
    ticket rewound to step k ends with the dense network's budget. Weights where `mask` is False are exactly zero
    after every step.

    Returns the state at the end, with every evaluation. BrokenNumbers if loss or weights stop being finite.
    """
    attempt = attempt or Attempt()
    device = data.train.labels.device
    order = batches(data, spec, seed)
    total = spec.duration.total(len(order))
    evaluate_every = spec.evaluate_every.total(len(order))
    learning_rate = schedule(spec, len(order))
    optimizer = make_optimizer(spec.optimizer, model.parameters(), device)
    pruned, kept = masked_weights(model, mask)
    losses = guard.LossWindow(device)

    if checkpoint is None:
        state = TrainingState(step=begin, started_at=time.time())
        torch.manual_seed(sub_seed(seed, "train"))
        zero_pruned(pruned, kept)
    else:
        state = checkpoint.state
        checkpoint.restore(model, optimizer)
    clock = time.monotonic() - state.seconds

    def read_losses(x: Tensor) -> None:
        read = losses.read()
        guard.check_losses(read, model, x)
        state.loss_sum += sum(read.values())
        state.loss_count += len(read)

    def measure() -> None:
        """Add a line to the history, and keep the weights if they are the best so far and wanted."""
        guard.check_weights(model, state.step)
        found = evaluate(model, data.validation, data, spec.precision)
        guard.check_validation_loss(found.loss, state.step)
        lowest = min((line.val_loss for line in state.history), default=float("inf"))
        if spec.select == "bestValidation" and found.loss < lowest:
            state.best = snapshot(model)
        state.history.append(
            Evaluation(
                iteration=state.step,
                epoch=state.step / len(order),
                train_loss=state.loss_sum / state.loss_count if state.loss_count else None,
                val_loss=found.loss,
                val_accuracy=found.accuracy,
                learning_rate=learning_rate(state.step),
                seconds=time.monotonic() - clock,
            )
        )
        state.loss_sum, state.loss_count = 0.0, 0

    model.train()
    if not state.history:
        measure()
    for x, y in _from_step(order, state.step, total):
        if state.step == attempt.rewind_step:
            state.rewind_sha256 = attempt.keep(model)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(state.step)

        with autocast(spec.precision, device):
            loss = cross_entropy(model(x), y)
        if losses.add(state.step, loss):
            read_losses(x)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if spec.gradient_clip is not None:
            # A pruned weight has no say in how far the others are clipped.
            for weight, keep in zip(pruned, kept, strict=True):
                if weight.grad is not None:
                    weight.grad.mul_(keep)
            nn.utils.clip_grad_norm_(model.parameters(), spec.gradient_clip)
        optimizer.step()
        zero_pruned(pruned, kept)
        state.step += 1

        if state.step % evaluate_every == 0 or state.step == total:
            read_losses(x)
            measure()
        attempt.tell(state, total, len(order))
        if attempt.save_due:
            read_losses(x)
            state.seconds = time.monotonic() - clock
            attempt.save(state, model, optimizer)

    state.seconds = time.monotonic() - clock
    return state


def masked_weights(
    model: nn.Module, mask: Mapping[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters in which anything is pruned, and beside each its mask as 0.0 and 1.0 on its device."""
    parameters = dict(model.named_parameters())
    partial = {name: kept for name, kept in mask.items() if not bool(kept.all())}
    weights: list[Tensor] = [parameters[name] for name in partial]
    return weights, [kept.to(w) for w, kept in zip(weights, partial.values(), strict=True)]


@torch.no_grad()
def zero_pruned(weights: list[Tensor], kept: list[Tensor]) -> None:
    """Set pruned weights to zero in place, all tensors in one call."""
    if weights:
        torch._foreach_mul_(weights, kept)


def _from_step(order: Batches, step: int, total: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of steps `step` up to `total`, epoch after epoch."""
    while step < total:
        epoch, start = divmod(step, len(order))
        for batch in order.epoch(epoch, start):
            yield batch
            step += 1
            if step == total:
                return
