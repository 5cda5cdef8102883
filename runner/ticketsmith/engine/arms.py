"""What each arm begins with: weights, a mask, a step. All that distinguishes the arms is in this file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

import lottery_tickets
from lottery_tickets import Mask, masks
from ticketsmith.engine import tensors
from ticketsmith.engine.artifacts import fetch, parent
from ticketsmith.engine.scoring import Sight, next_mask, random_mask
from ticketsmith.engine.seeds import sub_seed
from ticketsmith.experiment.contract import RoundResult, TrainRound
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import FINAL, MASK, REWIND, WEIGHTS
from ticketsmith.experiment.spec import PruningSpec
from ticketsmith.stores.base import Store

Build = Callable[[], nn.Module]
"""Builds the round's network with new weights from torch's global random numbers, on the CPU."""


@dataclass(frozen=True)
class Beginning:
    """Where an arm's training begins."""

    model: nn.Module
    """On the CPU, pruned weights zero."""
    mask: Mask
    """Every prunable weight: True is kept. All True for the dense arm."""
    step: int
    """Of the schedule and of the data order."""


def begin(
    task: TrainRound, store: Store, build: Build, rewind_step: int, sight: Sight
) -> Beginning:
    """Prepare the arm of `task`. BadSpec if a parent is missing, damaged or of another network."""
    arms: dict[str, Callable[[TrainRound, Store, Build, Sight], tuple[nn.Module, Mask]]] = {
        "dense": _dense,
        "ticket": _ticket,
        "reinit": _reinit,
        "random": _random,
    }
    model, mask = arms[task.arm](task, store, build, sight)
    with _told("the mask"):
        lottery_tickets.apply(model, mask)
    return Beginning(model, mask, 0 if task.arm == "dense" else rewind_step)


def begin_again(
    task: TrainRound,
    result: RoundResult,
    store: Store,
    build: Build,
    rewind_step: int,
    sight: Sight,
) -> Beginning:
    """The same once more, of a round that is done: a ticket needs its own mask for that, and not what was scored."""
    if task.arm != "ticket":
        return begin(task, store, build, rewind_step, sight)
    model, mask = _new(build, sub_seed(task.seed, "init")), _mask(store, result)
    _rewind(model, task, store)
    with _told("the mask"):
        lottery_tickets.apply(model, mask)
    return Beginning(model, mask, rewind_step)


def _dense(task: TrainRound, store: Store, build: Build, sight: Sight) -> tuple[nn.Module, Mask]:
    """The seed's initialisation, everything kept."""
    del store, sight
    model = _new(build, sub_seed(task.seed, "init"))
    return model, lottery_tickets.full(lottery_tickets.prunable(model, ()))


def _ticket(task: TrainRound, store: Store, build: Build, sight: Sight) -> tuple[nn.Module, Mask]:
    """Score the last weights of the round before, prune to the target, go back to the dense round's weights
    (Frankle & Carbin 2019, section 1; rewinding to step k: Frankle et al. 2020, 1912.05671)."""
    pruning = _pruning(task)
    scored = parent(store, task.parents.scored, "scored")
    model = _new(build, sub_seed(task.seed, "init"))
    last = FINAL if FINAL in scored.files else WEIGHTS
    tensors.load_into(model, tensors.read(fetch(store, scored, last)), f"{scored.key}/{last}")
    before = _mask(store, scored) if MASK in scored.files else None
    with _told("pruning"):
        mask = next_mask(model, before, task, pruning, sight)
    _rewind(model, task, store)
    return model, mask


def _reinit(task: TrainRound, store: Store, build: Build, sight: Sight) -> tuple[nn.Module, Mask]:
    """The ticket's mask on weights drawn anew by the same law."""
    del sight
    model = _new(build, sub_seed(task.seed, "reinit", task.level))
    return model, _ticket_mask(task, store)


def _random(task: TrainRound, store: Store, build: Build, sight: Sight) -> tuple[nn.Module, Mask]:
    """A random mask with the ticket's count in every layer, on the ticket's rewound weights."""
    model = _new(build, sub_seed(task.seed, "init"))
    _rewind(model, task, store)
    with _told("the random mask"):
        mask = random_mask(model, _ticket_mask(task, store), task, _pruning(task), sight)
    return model, mask


def _new(build: Build, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return build()


def _rewind(model: nn.Module, task: TrainRound, store: Store) -> None:
    """Put the dense round's weights and buffers of the rewind step into `model`."""
    dense = parent(store, task.parents.dense, "dense")
    state = tensors.read(fetch(store, dense, REWIND))
    tensors.load_into(model, state, f"{dense.key}/{REWIND}")


def _ticket_mask(task: TrainRound, store: Store) -> Mask:
    return _mask(store, parent(store, task.parents.ticket, "ticket"))


def _mask(store: Store, result: RoundResult) -> Mask:
    with _told(f"{result.key}/{MASK}"):
        return masks.load(fetch(store, result, MASK))


def _pruning(task: TrainRound) -> PruningSpec:
    if task.pruning is None:
        raise BadSpec(f"pruning is missing, and the {task.arm} arm needs it: give the rules")
    return task.pruning


@contextmanager
def _told(what: str) -> Iterator[None]:
    """The pruning library refuses with ValueError what a person asked for amiss."""
    try:
        yield
    except ValueError as error:
        raise BadSpec(f"{what}: {error}") from error
