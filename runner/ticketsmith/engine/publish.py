"""What a trained round leaves in the store; result.json comes last, and its presence means done."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lottery_tickets import Mask, masks
from ticketsmith.engine import tensors
from ticketsmith.engine.artifacts import put_text
from ticketsmith.engine.attempt import StoredAttempt
from ticketsmith.engine.checkpoint import TrainingState
from ticketsmith.engine.data import Data
from ticketsmith.engine.environment import device_words, environment
from ticketsmith.engine.evaluation import Evaluated, evaluate, samples
from ticketsmith.experiment import results
from ticketsmith.experiment.contract import RoundResult, TrainRound
from ticketsmith.experiment.results import Evaluation, LayerCount, Layers
from ticketsmith.stores.base import Store
from ticketsmith.stores.files import told


@dataclass(frozen=True)
class Work:
    """A training that came to its end."""

    task: TrainRound
    model: nn.Module
    """With its last weights."""
    mask: Mask
    first_step: int
    state: TrainingState
    data: Data
    begun: float
    """Unix time at which this attempt began."""
    seconds_before: float
    """What earlier attempts had trained when they were last saved."""


def publish(work: Work, store: Store, attempt: StoredAttempt) -> RoundResult:
    """Select the weights, read the test set once, store everything, and answer.

    Leaves the selected weights in `work.model`.
    """
    task, model, state = work.task, work.model, work.state
    device = work.data.test.labels.device
    attempt.say("saving")
    files = _store_weights(work, store)
    chosen = _chosen(work)
    attempt.say("testing")
    tested = evaluate(model, work.data.test, work.data, task.training.precision)
    attempt.say("saving")
    files[results.SAMPLES] = _put(store, task, results.SAMPLES, samples(work.data.test, tested))
    files |= _store_documents(work, store, device)
    counts = masks.counts(work.mask).values()
    result = RoundResult(
        key=task.key,
        arm=task.arm,
        seed=task.seed,
        level=task.level,
        remaining=sum(kept for kept, _ in counts),
        prunable=sum(total for _, total in counts),
        parameters=sum(p.numel() for p in model.parameters()),
        metrics=_metrics(chosen, tested),
        iterations=state.step - work.first_step,
        selected_iteration=chosen.iteration,
        best_iteration=state.lowest.iteration,
        started_at=min(work.begun, state.started_at),
        duration_seconds=time.time() - work.begun + work.seconds_before,
        device=device_words(device),
        gpus=1 if device.type == "cuda" else 0,
        files=files,
    )
    text = result.model_dump_json(indent=2, exclude_none=True)
    store.create_text(task.key, results.RESULT, text)
    return result


def trained_weights(work: Work) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The last weights, where they are not the selected ones, and then those, each by the name of its file.

    Leaves the selected weights in `work.model`.
    """
    model, state = work.model, work.state
    if _chosen(work) is not state.history[-1] and state.best is not None:
        yield results.FINAL, without_negative_zeros(model.state_dict(), work.mask)
        model.load_state_dict(state.best)
    yield results.WEIGHTS, without_negative_zeros(model.state_dict(), work.mask)


def _chosen(work: Work) -> Evaluation:
    """The evaluation whose weights the round reports."""
    state = work.state
    is_best = work.task.training.select == "bestValidation"
    return state.lowest if is_best else state.history[-1]


def _store_weights(work: Work, store: Store) -> dict[str, str]:
    """Store what is as large as the network, and the mask."""
    task, state = work.task, work.state
    files = {name: _put(store, task, name, held) for name, held in trained_weights(work)}
    if state.rewind_sha256 is not None:
        store.fetch(task.key, results.REWIND, state.rewind_sha256)
        files[results.REWIND] = state.rewind_sha256
    if task.arm != "dense":
        file = store.scratch(task.key) / results.MASK
        with told("write", file):
            masks.save(work.mask, file)
        files[results.MASK] = store.put(task.key, results.MASK, file)
    return files


def without_negative_zeros(state: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """The same weights, every pruned one +0. Multiplying by the mask leaves -0 where a weight was negative, and a
    file that stores only what is not zero, bit for bit, would have to store those."""
    return {
        name: value.masked_fill(~mask[name].to(value.device), 0.0) if name in mask else value
        for name, value in state.items()
    }


def _store_documents(work: Work, store: Store, device: torch.device) -> dict[str, str]:
    """Store what people and reports read beside the weights."""
    layers = Layers(
        layers=tuple(
            LayerCount(
                name=name, shape=tuple(work.mask[name].shape), prunable=total, remaining=kept
            )
            for name, (kept, total) in masks.counts(work.mask).items()
        )
    )
    texts = {
        results.SPEC: work.task.model_dump_json(indent=2),
        results.METRICS: "".join(f"{line.model_dump_json()}\n" for line in work.state.history),
        results.LAYERS: layers.model_dump_json(indent=2),
        results.ENVIRONMENT: environment(device).model_dump_json(indent=2),
    }
    return {name: put_text(store, work.task.key, name, text) for name, text in texts.items()}


def _put(store: Store, task: TrainRound, name: str, state: Mapping[str, Tensor]) -> str:
    return store.put(task.key, name, tensors.write(state, store.scratch(task.key) / name))


def _metrics(chosen: Evaluation, tested: Evaluated) -> dict[str, float]:
    """accuracy and loss on the test set; valAccuracy, valLoss and trainLoss of the same weights."""
    metrics = {
        "accuracy": tested.accuracy,
        "loss": tested.loss,
        "valAccuracy": chosen.val_accuracy,
        "valLoss": chosen.val_loss,
    }
    return metrics if chosen.train_loss is None else metrics | {"trainLoss": chosen.train_loss}
