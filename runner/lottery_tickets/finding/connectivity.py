"""Linear mode connectivity: is there a barrier of error on the straight line between two trained networks?

Frankle et al. 2020 (1912.05671), section 2.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypedDict

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lottery_tickets import masks
from lottery_tickets.finding.imp import refuse_revived
from lottery_tickets.finding.measuring import EvalFn, quality, refuse_broken
from lottery_tickets.modules import prunable
from lottery_tickets.pruning_mask import PruningMask
from lottery_tickets.running import Batch, Telling, batches, follow
from lottery_tickets.running.batches import device_of
from lottery_tickets.running.lending import State, check_state, lent, put, snapshot, tensors
from lottery_tickets.running.losses import outputs_of

STABLE = 0.02
"""An instability below 2% counts as stable (1912.05671, section 3)."""
POINTS = 30
"""Of the authors' grid."""

Statistics = Literal["interpolate", "recompute"]
ReachFn = Callable[[nn.Module, int, int], object]
"""reach_fn(model, start, stop) trains in place from step `start` up to step `stop`."""
BranchFn = Callable[[nn.Module, PruningMask, int, int], object]
"""train_fn(model, mask, step, order) trains in place from step `step` to the end, with data order number `order`, and
calls mask.apply(model) after every step."""


class Barrier(TypedDict):
    """Errors on the line between two networks."""

    barrier: float
    """The highest error on the line minus the mean of its ends' (linear interpolation instability); 0 or more."""
    alphas: list[float]
    """0 is the first network, 1 the second."""
    errors: list[float]
    ends: float
    """Mean error of the two networks."""
    worst_alpha: float


class Tested(TypedDict):
    """One candidate step."""

    step: int
    barrier: float
    """Mean over the pairs."""
    barriers: list[float]
    error: float
    """Mean error at the ends of the lines."""


class StableStep(TypedDict):
    """From which step on training ends in one valley, whatever the data order."""

    step: int | None
    """None: from none of the candidates."""
    threshold: float
    tested: list[Tested]
    """In ascending order; those after the first stable step are not tested unless asked for."""


def compute_error_barrier(
    model: nn.Module,
    first: nn.Module | Mapping[str, Tensor],
    second: nn.Module | Mapping[str, Tensor],
    error_fn: EvalFn,
    *,
    points: int = POINTS,
    statistics: Statistics = "interpolate",
    dataloader: Iterable[Batch] | None = None,
    progress: Telling = None,
) -> Barrier:
    """The highest error on the line between two trained networks, above the mean of the two (section 2).

    Args:
        model: Evaluated with every point's weights; left as found. May be one of the two.
        first: A network, or its state_dict.
        second: Another of the same architecture.
        error_fn: error_fn(model) -> error, the lower the better, e.g. 1 - accuracy. In the same unit is the barrier.
        points: Points of the line, both ends among them, evenly spaced; 3 or more. The true supremum may lie between
            two of them.
        statistics: Running mean and variance of batch norms on the way. "interpolate": like the weights, as they are
            at the ends. "recompute": anew at each point, ends included, from one pass over `dataloader` in training
            mode (Izmailov et al. 2018, 1803.05407): on the way the interpolated ones do not belong to the weights,
            which raises the barrier (Jordan et al. 2022, 2211.08403).
        dataloader: For "recompute": batches of training data.
        progress: See `follow`.

    Raises:
        ValueError: The two do not fit the network; an option is out of range; error_fn returns no number.
    """
    if points < 3:
        raise ValueError(f"points is {points}: use 3 or more, the two ends among them")
    if statistics not in ("interpolate", "recompute"):
        raise ValueError(f"statistics is {statistics!r}: use 'interpolate' or 'recompute'")
    if statistics == "recompute" and dataloader is None:
        raise ValueError("statistics 'recompute' needs data: pass dataloader")
    one, other = _state(model, first, "first"), _state(model, second, "second")
    alphas = [i / (points - 1) for i in range(points)]
    errors = []
    with lent(model, restore=True):
        for alpha in follow(alphas, "errors on the line", points, progress):
            put(model, interpolated(one, other, alpha))
            if statistics == "recompute" and dataloader is not None:
                _recompute(model, dataloader)
            errors.append(quality(model, error_fn, "error_fn"))
    ends = (errors[0] + errors[-1]) / 2
    worst = max(errors)
    return {
        "barrier": worst - ends,
        "alphas": alphas,
        "errors": errors,
        "ends": ends,
        "worst_alpha": alphas[errors.index(worst)],
    }


def earliest_stable_rewind_step(
    model: nn.Module,
    steps: Sequence[int],
    reach_fn: ReachFn,
    train_fn: BranchFn,
    error_fn: EvalFn,
    *,
    mask: Mapping[str, Tensor] | None = None,
    threshold: float = STABLE,
    pairs: int = 1,
    points: int = POINTS,
    statistics: Statistics = "interpolate",
    dataloader: Iterable[Batch] | None = None,
    test_all: bool = False,
    progress: Telling = None,
) -> StableStep:
    """The first of `steps` from which two trainings with different data orders end without a barrier between them.

    Rewinding a ticket to that step is what makes it match the dense network (1912.05671, sections 3 and 4).

    Args:
        model: At step 0, as it is at the call; left as found.
        steps: Candidates, ascending, from 0 up.
        reach_fn: reach_fn(model, start, stop) trains the dense network on from candidate to candidate.
        train_fn: train_fn(model, mask, step, order) trains to the end; `order` numbers the data orders from 0.
        error_fn: See `compute_error_barrier`, as `points`, `statistics`, `dataloader`.
        mask: The subnetwork to test; None: the dense network.
        threshold: Stable is a barrier below it, in error_fn's unit.
        pairs: Pairs of trainings at each step, each with orders of its own; their mean decides.
        test_all: Go on after the first stable step.

    Raises:
        ValueError: One sentence, see `compute_error_barrier`; steps that do not ascend; two trainings of a pair that
            ended in the same weights, because train_fn does not heed `order`.
    """
    if not steps or any(step < 0 for step in steps) or sorted(set(steps)) != list(steps):
        raise ValueError(f"steps is {list(steps)}: give steps from 0 up, each once, ascending")
    if pairs < 1:
        raise ValueError(f"pairs is {pairs}: use 1 or more")
    weights = prunable(model)
    kept = masks.full(weights) if mask is None else dict(mask)
    masks.check_fit(kept, {name: t for name, t in tensors(model).items() if name in kept})
    tested: list[Tested] = []
    with lent(model, restore=True):
        reached, at = snapshot(model), 0
        for step in follow(steps, "testing steps", len(steps), progress):
            put(model, reached)
            model.train()
            if step > at:
                reach_fn(model, at, step)
                refuse_broken(model, f"after reach_fn at step {step}")
            reached, at = snapshot(model), step

            def trained(order: int, start: State = reached, step: int = step) -> State:
                put(model, start)
                masks.apply(model, kept)
                model.train()
                model.zero_grad(set_to_none=True)
                train_fn(model, PruningMask(kept), step, order)
                refuse_broken(model, f"after train_fn from step {step}")
                refuse_revived(model, kept, f"train_fn from step {step}")
                return snapshot(model)

            lines = []
            for pair in range(pairs):
                ends = trained(2 * pair), trained(2 * pair + 1)
                if all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items()):
                    raise ValueError(
                        f"train_fn ended in the same weights with data orders {2 * pair} and {2 * pair + 1}: let "
                        f"`order` seed the shuffling, and train at least a step"
                    )
                lines.append(
                    compute_error_barrier(
                        model,
                        *ends,
                        error_fn,
                        points=points,
                        statistics=statistics,
                        dataloader=dataloader,
                        progress=False,
                    )
                )
            barriers = [line["barrier"] for line in lines]
            tested.append(
                {
                    "step": step,
                    "barrier": sum(barriers) / pairs,
                    "barriers": barriers,
                    "error": sum(line["ends"] for line in lines) / pairs,
                }
            )
            if tested[-1]["barrier"] < threshold and not test_all:
                break
    stable = (one["step"] for one in tested if one["barrier"] < threshold)
    return {"step": next(stable, None), "threshold": threshold, "tested": tested}


def interpolated(one: State, other: State, alpha: float) -> State:
    """(1 - alpha) one + alpha other, in fp32 at least; what is no float (counters) is one's. Exact at both ends."""

    def between(a: Tensor, b: Tensor) -> Tensor:
        if not a.is_floating_point():
            return a
        wide = torch.promote_types(a.dtype, torch.float32)
        return torch.lerp(a.to(wide), b.to(wide), alpha).to(a.dtype)

    return {name: between(tensor, other[name]) for name, tensor in one.items()}


def _state(model: nn.Module, given: nn.Module | Mapping[str, Tensor], called: str) -> State:
    """A copy on the host of every tensor of the network, as `given` has it."""
    state = snapshot(given) if isinstance(given, nn.Module) else dict(given)
    check_state(model, state, called)
    return {
        name: state.get(name, tensor).detach().cpu().clone()
        for name, tensor in tensors(model).items()
    }


@torch.no_grad()
def _recompute(model: nn.Module, dataloader: Iterable[Batch]) -> None:
    """Mean and variance over all batches alike, whatever momentum the norms have."""
    norms = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    model.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for batch in batches(dataloader, device=device_of(model)):
            outputs_of(model, batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
