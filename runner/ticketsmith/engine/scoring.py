"""The next mask: spec.pruning in the words of the pruning library, which does all of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

import lottery_tickets
from lottery_tickets import Mask, channels
from ticketsmith.engine.data import Batches, Data
from ticketsmith.engine.seeds import generator, sub_seed
from ticketsmith.experiment.contract import TrainRound
from ticketsmith.experiment.spec import PruningSpec

_BATCH = 64
"""Images that a score reads at a time."""
Scores = Literal["magnitude", "random"] | Mapping[str, Tensor]


@dataclass(frozen=True)
class Sight:
    """What scores may read besides the weights."""

    data: Data
    device: torch.device
    """Where they are computed."""

    def batches(self, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Training images as they are, none turned or cropped, in an order of their own."""
        order = Batches(self.data.train, self.data, _BATCH, seed=seed, augment=False)
        return order.epoch(0)


def next_mask(
    model: nn.Module, before: Mask | None, task: TrainRound, pruning: PruningSpec, sight: Sight
) -> Mask:
    """The mask of a ticket: what is left of `before` at the round's sparsity.

    Args:
        model: With the weights that are scored, on the CPU; it comes back as it was.
        before: The level before; None: nothing is pruned yet.

    Raises:
        ValueError: As the pruning library says it.
    """
    scores = _scores(model, task, pruning, sight)
    drawn = generator(task.seed, "score", task.level)
    if pruning.pattern == "channel":
        return channels.prune_channels(
            model,
            _example(sight),
            target_sparsity=task.sparsity,
            score=scores,
            scope="layer" if pruning.scope == "layer" else "global",
            exclude=pruning.exclude,
            rate_factors=pruning.rate_factors,
            mask=before,
            generator=drawn,
        ).mask
    return lottery_tickets.prune(
        model,
        target_sparsity=task.sparsity,
        mask=before,
        score=scores,
        scope=pruning.scope,
        pattern=pruning.pattern,
        exclude=pruning.exclude,
        rate_factors=pruning.rate_factors,
        generator=drawn,
    )


def random_mask(
    model: nn.Module, ticket: Mask, task: TrainRound, pruning: PruningSpec, sight: Sight
) -> Mask:
    """The ticket's pattern with as many weights in every layer (of channels, as many channels), chosen by chance."""
    drawn = generator(task.seed, "mask", task.level)
    if pruning.pattern == "unstructured":
        return lottery_tickets.random_like(ticket, drawn)
    if pruning.pattern == "channel":
        return channels.random_channels_like(
            model, _example(sight), ticket, drawn, exclude=pruning.exclude
        ).mask
    counts = lottery_tickets.counts(ticket)
    return lottery_tickets.prune(
        model,
        score="random",
        pattern=pruning.pattern,
        sparsities={name: 1 - kept / total for name, (kept, total) in counts.items()},
        exclude=pruning.exclude,
        generator=drawn,
    )


def _scores(model: nn.Module, task: TrainRound, pruning: PruningSpec, sight: Sight) -> Scores:
    if pruning.score in ("magnitude", "random"):
        return pruning.score
    mixed = pruning.score_weights.shares() if pruning.score_weights is not None else None
    try:
        found = lottery_tickets.importance(
            model.to(sight.device),
            pruning.score,
            list(sight.batches(sub_seed(task.seed, "score", task.level))),
            loss_fn=nn.functional.cross_entropy,
            num_samples=min(pruning.score_samples, len(sight.data.train)),
            weights=mixed,
            target_sparsity=task.sparsity,
            exclude=pruning.exclude,
            generator=generator(task.seed, "score", task.level),
            progress=False,
        )
    finally:
        model.to("cpu")
    return {name: score.cpu() for name, score in found.items()}


def _example(sight: Sight) -> Tensor:
    """One image, on the CPU, where the network is."""
    images, _ = next(sight.batches(0))
    return images[:1].cpu()
