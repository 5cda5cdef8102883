"""Iterative magnitude pruning: train, prune the smallest, rewind, train again (Frankle & Carbin 2019, section 1)."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.finding.measuring import EvalFn, performance, quality, refuse_broken
from lottery_tickets.levels import Scope, keep_counts
from lottery_tickets.masks import Mask
from lottery_tickets.modules import prunable
from lottery_tickets.prune import prune
from lottery_tickets.pruning_mask import PruningMask
from lottery_tickets.running import Batch, LossFn, Telling, follow
from lottery_tickets.running.lending import State, check_state, lent, put, snapshot, tensors

TrainFn = Callable[[nn.Module, PruningMask], object]
"""train_fn(model, mask) trains in place, with an optimizer of its own, and calls mask.apply(model) after every step."""

METHOD = "iterative magnitude pruning"
ONE_SHOT = "one-shot magnitude pruning, nothing trained"
LATE = "a late step, reached by rewind_train_fn"
Reporting = Callable[["Search"], None]


class Round(TypedDict):
    """One training, or in the one-shot variant one mask."""

    round: int
    """0 is the dense network."""
    sparsity: float
    """Fraction of the prunable weights that are zero."""
    kept: int
    prunable: int
    """Weights that count: the prunable ones that are not excluded."""
    layers: dict[str, tuple[int, int]]
    """Parameter name -> (weights kept, weights in all)."""
    quality: float | None
    """What eval_fn said after the training."""
    loss: float | None
    """Mean loss on dataloader after the training."""
    accuracy: float | None
    """Accuracy on dataloader, where its targets are classes."""
    seconds: float
    """Of the training alone."""


class Tickets(TypedDict):
    """What a search found."""

    method: str
    target_sparsity: float
    pruning_rounds: int
    sparsity: float
    kept: int
    prunable: int
    parameters: int
    """All weights of the network, those that may not be pruned too."""
    rewind: str
    """Where every training began: the initialisation, a late step, or weights that were given."""
    torch_seed: int
    """Seed of torch's global random numbers when the search began."""
    rounds: list[Round]
    mask: Mask
    """The last one."""
    rewind_weights: State
    """Parameters and buffers on the host where every training began: with `mask` applied, the ticket."""


@dataclass
class Search:
    """A search between two rounds: all that is needed to go on."""

    rewind_weights: State
    rewind: str
    mask: Mask
    """Of the next training; after the last round, of that."""
    torch_seed: int
    rounds: list[Round] = field(default_factory=list)


def schedule(target_sparsity: float, pruning_rounds: int) -> list[float]:
    """The sparsity after each round: every one prunes the same fraction of the survivors, the last ends on the target.

    After i of n rounds it is 1 - (1 - target)^(i / n); rounding to whole weights is left to `keep_counts`.

    Raises:
        ValueError: The target is outside [0, 1), or there is less than one round.
    """
    if not 0 <= target_sparsity < 1:
        raise ValueError(f"target_sparsity is {target_sparsity}: use a fraction in [0, 1)")
    if pruning_rounds < 1 or pruning_rounds != int(pruning_rounds):
        raise ValueError(f"pruning_rounds is {pruning_rounds}: use a whole number from 1 up")
    left = math.log1p(-target_sparsity)
    before = [-math.expm1(left * i / pruning_rounds) for i in range(1, pruning_rounds)]
    return [*before, target_sparsity]


def compute_iterative_magnitude_pruning(
    model: nn.Module,
    dataloader: Iterable[Batch] | None = None,
    train_fn: TrainFn | None = None,
    eval_fn: EvalFn | None = None,
    target_sparsity: float = 0.9,
    pruning_rounds: int = 5,
    *,
    rewind_to: Mapping[str, Tensor] | None = None,
    rewind_train_fn: Callable[[nn.Module], object] | None = None,
    scope: Scope = "global",
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    loss_fn: LossFn | None = None,
    restore: bool = True,
    resume: Search | None = None,
    after_round: Reporting | None = None,
    progress: Telling = None,
) -> Tickets:
    """Find a winning ticket: train, prune the smallest weights, rewind the others, and train again.

    It trains `pruning_rounds` + 1 times: the dense network, then every mask. Each training begins at the same weights
    and buffers: the network's as they are at the call (Frankle & Carbin 2019, section 1), or those of a late step
    (late resetting: Frankle et al. 2019, 1903.01611; 2020, 1912.05671), which come from `rewind_train_fn` or
    `rewind_to`. With these `train_fn` begins at that step: its learning rate and data order go on from there.

    Args:
        model: Any network, on any device; `prunable(model, exclude)` is what is pruned.
        dataloader: Batches on which loss and accuracy are noted after each training; None: they are not.
        train_fn: train_fn(model, mask) trains in place. It makes its own optimizer, brings its own data and calls
            mask.apply(model) after every step. In the dense round the mask keeps everything.
        eval_fn: eval_fn(model) -> quality of the trained network, e.g. accuracy on held-out data.
        target_sparsity: Fraction of the prunable weights that the ticket lacks, in [0, 1); met exactly.
        pruning_rounds: How often is pruned; each time the same fraction of the survivors, see `schedule`.
        rewind_to: A state_dict to begin every training with.
        rewind_train_fn: rewind_train_fn(model) trains the dense network from its weights at the call up to the step to
            rewind to. Called once, before everything.
        scope: "global" or "layer", see `prune`. `exclude` and `rate_factors` likewise.
        loss_fn: For `dataloader`, see `batch_loss`.
        restore: Bring weights and buffers back to what they were at the call. False leaves the trained ticket.
        resume: A `Search` that `after_round` was given, to go on after its last round from its rewind weights. What
            follows is as it would have been if `train_fn` seeds what it draws.
        after_round: Told after every round; may keep the search. Its tensors change with the next round.

    Returns:
        See `Tickets`; memory: one copy of weights and buffers on the host, two with `restore` and late resetting.

    Raises:
        ValueError: One sentence: no `train_fn`; a target that cannot be reached; `train_fn` trained nothing, left
            weights NaN, or let pruned weights come back.
    """
    if train_fn is None:
        raise ValueError(
            "train_fn is missing, and iterative magnitude pruning trains the network in every round: pass "
            "train_fn(model, mask), or call compute_one_shot_magnitude_pruning for masks of the weights as they are, "
            "without any training"
        )
    if rewind_to is not None and rewind_train_fn is not None:
        raise ValueError(
            "rewind_to and rewind_train_fn both say where to rewind to: pass one of them"
        )
    targets = schedule(target_sparsity, pruning_rounds)
    _check_reachable(model, targets, scope, exclude, rate_factors)
    if rewind_to is not None:
        check_state(model, rewind_to, "rewind_to")
    if resume is not None:
        check_state(model, resume.rewind_weights, "resume.rewind_weights")
        masks.check_fit(resume.mask, prunable(model, exclude))

    with lent(model, restore=restore):
        search = resume or _begin(model, exclude, rewind_to, rewind_train_fn)
        numbers = range(len(search.rounds), pruning_rounds + 1)
        for number in follow(numbers, "training tickets", len(numbers), progress):
            put(model, search.rewind_weights)
            masks.apply(model, search.mask)
            seconds = _train(model, train_fn, search, number)
            search.rounds.append(
                _round(number, search.mask, model, eval_fn, dataloader, loss_fn, seconds)
            )
            if number < pruning_rounds:
                search.mask = prune(
                    model,
                    target_sparsity=targets[number],
                    mask=search.mask,
                    scope=scope,
                    exclude=exclude,
                    rate_factors=rate_factors,
                )
            if after_round is not None:
                after_round(search)
    return tickets(model, METHOD, target_sparsity, pruning_rounds, search)


def compute_one_shot_magnitude_pruning(
    model: nn.Module,
    dataloader: Iterable[Batch] | None = None,
    eval_fn: EvalFn | None = None,
    target_sparsity: float = 0.9,
    pruning_rounds: int = 5,
    *,
    scope: Scope = "global",
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    loss_fn: LossFn | None = None,
    progress: Telling = None,
) -> Tickets:
    """The masks of iterative magnitude pruning's schedule on the weights as they are: nothing is trained.

    One training before it makes this one-shot pruning (Han et al. 2015; Frankle & Carbin 2019, section 2), which finds
    worse tickets at high sparsity. It says nothing of what training between the rounds would find.

    Args:
        model: A trained network; it is left as it was found.
        dataloader: Batches on which loss and accuracy under each mask are noted.
        eval_fn: eval_fn(model) -> quality under each mask.
        The others: as in `compute_iterative_magnitude_pruning`.

    Returns:
        The same `Tickets`; `rewind_weights` are the weights as found, round 0 is the dense network.
    """
    targets = schedule(target_sparsity, pruning_rounds)
    _check_reachable(model, targets, scope, exclude, rate_factors)
    refuse_broken(model, "before pruning")
    with lent(model, restore=True):
        search = _begin(model, exclude, None, None)
        search.rewind = "none: nothing is trained"
        for number in follow(
            range(pruning_rounds + 1), "pruning at once", pruning_rounds + 1, progress
        ):
            if number:
                search.mask = prune(
                    model,
                    target_sparsity=targets[number - 1],
                    mask=search.mask,
                    scope=scope,
                    exclude=exclude,
                    rate_factors=rate_factors,
                )
                masks.apply(model, search.mask)
            search.rounds.append(
                _round(number, search.mask, model, eval_fn, dataloader, loss_fn, 0.0)
            )
    return tickets(model, ONE_SHOT, target_sparsity, pruning_rounds, search)


def refuse_revived(model: nn.Module, mask: Mapping[str, Tensor], called: str) -> None:
    """ValueError if a pruned weight is not zero; it says how many are not, and what to do."""
    weights = tensors(model)
    for name, kept in mask.items():
        revived = (weights[name] != 0) & ~kept.to(weights[name].device)
        count = int(torch.count_nonzero(revived))
        if count:
            pruned = kept.numel() - int(torch.count_nonzero(kept))
            raise ValueError(
                f"{called} left {count} of the {pruned} pruned weights of {name!r} nonzero: call mask.apply(model) "
                f"after every optimizer.step(), or train inside `with mask.enforced(optimizer, model)`"
            )


def tickets(
    model: nn.Module, method: str, target_sparsity: float, pruning_rounds: int, search: Search
) -> Tickets:
    """The results of a search that is over."""
    last = search.rounds[-1]
    return {
        "method": method,
        "target_sparsity": target_sparsity,
        "pruning_rounds": pruning_rounds,
        "sparsity": last["sparsity"],
        "kept": last["kept"],
        "prunable": last["prunable"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "rewind": search.rewind,
        "torch_seed": search.torch_seed,
        "rounds": search.rounds,
        "mask": search.mask,
        "rewind_weights": search.rewind_weights,
    }


def _begin(
    model: nn.Module,
    exclude: Sequence[str],
    rewind_to: Mapping[str, Tensor] | None,
    rewind_train_fn: Callable[[nn.Module], object] | None,
) -> Search:
    seed = torch.initial_seed()
    where = "the initialisation: the weights as they were found"
    if rewind_to is not None:
        put(model, rewind_to)
        where = "weights that were given (rewind_to)"
    if rewind_train_fn is not None:
        before = snapshot(model)
        rewind_train_fn(model)
        refuse_broken(model, "after rewind_train_fn")
        _refuse_untrained(model, before, "rewind_train_fn")
        where = LATE
    return Search(snapshot(model), where, masks.full(prunable(model, exclude)), seed)


def _train(model: nn.Module, train_fn: TrainFn, search: Search, number: int) -> float:
    """Train one round; returns how many seconds it took."""
    model.train()
    model.zero_grad(set_to_none=True)
    begun = time.perf_counter()
    train_fn(model, PruningMask(search.mask))
    seconds = time.perf_counter() - begun
    refuse_broken(model, f"after train_fn in round {number}")
    refuse_revived(model, search.mask, f"train_fn in round {number}")
    _refuse_untrained(model, search.rewind_weights, "train_fn", search.mask)
    return seconds


def _refuse_untrained(
    model: nn.Module, before: State, called: str, mask: Mapping[str, Tensor] | None = None
) -> None:
    for name, weight in model.named_parameters():
        began = before[name]
        if mask is not None and name in mask:
            began = began.masked_fill(~mask[name].cpu(), 0)
        if not torch.equal(weight.detach().cpu(), began):
            return
    raise ValueError(
        f"{called} changed no weight: train the network it is given in place, not a copy of it"
    )


def _round(
    number: int,
    mask: Mask,
    model: nn.Module,
    eval_fn: EvalFn | None,
    dataloader: Iterable[Batch] | None,
    loss_fn: LossFn | None,
    seconds: float,
) -> Round:
    layers = masks.counts(mask)
    kept, total = (sum(part) for part in zip(*layers.values(), strict=True))
    found = None if dataloader is None else performance(model, dataloader, loss_fn)
    return {
        "round": number,
        "sparsity": 1 - kept / total,
        "kept": kept,
        "prunable": total,
        "layers": layers,
        "quality": None if eval_fn is None else quality(model, eval_fn),
        "loss": None if found is None else found.loss,
        "accuracy": None if found is None else found.accuracy,
        "seconds": seconds,
    }


def _check_reachable(
    model: nn.Module,
    targets: Sequence[float],
    scope: Scope,
    exclude: Sequence[str],
    rate_factors: Mapping[str, float] | None,
) -> None:
    """Refuse before hours of training what the last round could not prune."""
    weights = prunable(model, exclude)
    if not weights:
        raise ValueError(
            "no weight can be pruned: the network has none that is prunable and not excluded"
        )
    counts = {name: (weight.numel(), weight.numel()) for name, weight in weights.items()}
    for target in targets:
        # Which tensors of a budget keep its weights is not known yet, and makes no difference to the next budgets.
        for budget in keep_counts(counts, target, scope=scope, rate_factors=rate_factors):
            left = budget.keep
            for name in budget.names:
                kept = min(left, counts[name][0])
                counts[name] = (kept, counts[name][1])
                left -= kept
