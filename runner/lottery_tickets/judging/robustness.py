"""How much pruning the weights bear as they stand: one shot, without training."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.judging.performance import (
    DEFINITIONS,
    Metric,
    Performance,
    check_fraction,
    check_metric,
    chosen,
    figure,
    measure,
    retention,
)
from lottery_tickets.judging.temporarily import pruned
from lottery_tickets.levels import Scope
from lottery_tickets.masks import Mask
from lottery_tickets.prune import prune, random_like
from lottery_tickets.running import Batch, LossFn, Telling, follow, preserved


def compute_pruning_robustness(
    model: nn.Module,
    batch: Batch,
    sparsity_levels: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    *,
    return_masks: bool = False,
    scores: Mapping[str, Tensor] | None = None,
    loss_fn: LossFn | None = None,
    metric: Metric = "auto",
    scope: Scope = "global",
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    tolerance: float = 0.05,
    generator: torch.Generator | None = None,
    offload: bool = False,
    progress: Telling = None,
) -> dict[str, Any]:
    """Prune the network to each level in turn, measure it on one batch in eval mode, and put its weights back.

    The levels are nested: each is a subset of the one before. Every level puts aside the values that it prunes and
    brings exactly those back, so beside the network there are at most the pruned values of one level and two masks
    (a byte a weight each; all of them with `return_masks`).

    Args:
        model: The network, left as found.
        batch: The batch that everything is measured on, on any device.
        sparsity_levels: Fractions of the prunable weights in [0, 1), in any order.
        return_masks: Also return the mask of every level.
        scores: What decides, name -> scores of each prunable weight's shape, higher is kept longer; None: magnitude.
        loss_fn: loss_fn(outputs, targets); None: the network's own or the usual one, see `batch_loss`.
        metric: What retention is of: "auto", "accuracy", "loss", or a function where more is better.
        scope: "global" or "layer", see `prune`.
        exclude: Patterns of weights that are never pruned, see `prunable`.
        rate_factors: See `keep_counts`.
        tolerance: Fraction of the dense performance that may be lost, in [0, 1).
        generator: If given, each level is measured also with a random mask that keeps as many weights of each layer,
            drawn with it.
        offload: Keep the pruned values in host memory meanwhile.
        progress: Who is told.

    Returns:
        baseline_loss, baseline_accuracy (None where not defined), baseline_performance, metric, retention_definition,
        samples, tolerance;
        sparsity_curves: level -> sparsity (exact), kept, total, loss, loss_ratio (loss / baseline), accuracy (None
        where not defined), performance, performance_retention; with `generator` also random_loss and
        random_retention;
        robustness_metrics:
          - optimal_sparsity: the sparsest of the levels at which, and at every less sparse one, retention is at least
            1 - tolerance; 0 if that already fails at the first.
          - critical_sparsity: the first level at which retention is below that; None if it never is. Together the two
            bracket the sparsity where performance leaves the tolerance.
          - winning_ticket_score: the area under min(1, retention) from sparsity 0 to the last level, divided by that
            sparsity: 1 is "nothing lost anywhere". It is a figure of one-shot pruning. It does not show that a level
            is a winning ticket, which takes training from the rewound weights (Frankle & Carbin 2019, section 1).
          - with `generator` random_score, the same of the random masks, and score_over_random, the difference: what
            the choice of weights adds to the choice of how many a layer keeps;
        masks, with `return_masks`: level -> mask.

    Raises:
        ValueError: Levels are missing or outside [0, 1), the baseline loss is no number, or an argument is wrong; see
            `prune` and `batch_loss`.
    """
    if not isinstance(sparsity_levels, Iterable):
        raise ValueError(
            f"sparsity_levels is {sparsity_levels}: give a list, e.g. [{sparsity_levels}]"
        )
    levels = sorted({float(level) for level in sparsity_levels})
    if not levels:
        raise ValueError("sparsity_levels is empty: give at least one fraction in [0, 1)")
    for level in levels:
        check_fraction("sparsity_levels", level)
    check_fraction("tolerance", tolerance)
    check_metric(metric)

    def look(mask: Mask | None) -> Performance:
        if mask is None:
            return measure(model, [batch], loss_fn=loss_fn, metric=metric, progress=False)
        with pruned(model, mask, offload=offload):
            return measure(model, [batch], loss_fn=loss_fn, metric=metric, progress=False)

    curves: dict[float, dict[str, Any]] = {}
    found: dict[float, Mask] = {}
    mask: Mask | None = None
    with preserved(model, training=False):
        dense = look(None)
        if not math.isfinite(dense.loss):
            raise ValueError(
                f"the baseline loss is {dense.loss}: look for NaN or infinite values in the weights and in the batch"
            )
        name = chosen(metric, dense)
        for level in follow(levels, "pruning", len(levels), progress):
            mask = prune(
                model,
                target_sparsity=level,
                mask=mask,
                score="magnitude" if scores is None else scores,
                scope=scope,
                exclude=exclude,
                rate_factors=rate_factors,
            )
            curves[level] = _point(dense, look(mask), mask, name)
            if generator is not None:
                random = look(random_like(mask, generator))
                curves[level] |= {
                    "random_loss": random.loss,
                    "random_retention": _kept(dense, random, name),
                }
            if return_masks:
                found[level] = mask
    result: dict[str, Any] = {
        "baseline_loss": dense.loss,
        "baseline_accuracy": dense.accuracy,
        "baseline_performance": figure(dense, name),
        "metric": name,
        "retention_definition": DEFINITIONS[name],
        "samples": dense.samples,
        "tolerance": tolerance,
        "sparsity_curves": curves,
        "robustness_metrics": _metrics(curves, tolerance),
    }
    return result | ({"masks": found} if return_masks else {})


def _point(dense: Performance, ticket: Performance, mask: Mask, name: str) -> dict[str, Any]:
    kept, total = map(sum, zip(*masks.counts(mask).values(), strict=True))
    return {
        "sparsity": 1 - kept / total,
        "kept": kept,
        "total": total,
        "loss": ticket.loss,
        "loss_ratio": ticket.loss / dense.loss if dense.loss else math.nan,
        "accuracy": ticket.accuracy,
        "performance": figure(ticket, name),
        "performance_retention": _kept(dense, ticket, name),
    }


def _kept(dense: Performance, ticket: Performance, name: str) -> float:
    return retention(figure(dense, name), figure(ticket, name), name)


def _metrics(curves: Mapping[float, Mapping[str, Any]], tolerance: float) -> dict[str, Any]:
    # Not `<`: a retention that is no number is outside too.
    outside = [s for s, p in curves.items() if not p["performance_retention"] >= 1 - tolerance]
    critical = min(outside, default=None)
    inside = [level for level in curves if critical is None or level < critical]
    metrics: dict[str, Any] = {
        "optimal_sparsity": max(inside, default=0.0),
        "critical_sparsity": critical,
        "winning_ticket_score": _area(curves, "performance_retention"),
    }
    if all("random_retention" in point for point in curves.values()):
        metrics["random_score"] = _area(curves, "random_retention")
        metrics["score_over_random"] = metrics["winning_ticket_score"] - metrics["random_score"]
    return metrics


def _area(curves: Mapping[float, Mapping[str, Any]], retention_of: str) -> float:
    """Mean of min(1, retention) over sparsity from 0, where it is 1, by the trapezoid rule."""
    points = sorted((p["sparsity"], min(1.0, p[retention_of])) for p in curves.values())
    line = [(0.0, 1.0), *points]
    reach = line[-1][0]
    if not reach:
        return float(line[-1][1])
    area = sum(
        (right - left) * (before + after) / 2 for (left, before), (right, after) in pairwise(line)
    )
    return float(area / reach)
