"""How far rankings of the same weights agree, measured: between optimizers, seeds, or scores."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.judging.controls import seeded
from lottery_tickets.judging.performance import check_fraction
from lottery_tickets.judging.temporarily import blocks
from lottery_tickets.masks import Mask
from lottery_tickets.modules import pieces, prunable
from lottery_tickets.running import Telling, follow, preserved
from lottery_tickets.selection import select
from lottery_tickets.spearman import correlation, mean_ranks

SAMPLE = 1 << 20
"""Weights that a rank correlation is taken of: its standard error is then below 0.001."""


def compute_rank_agreement(
    scores: Mapping[str, Mapping[str, Tensor]],
    *,
    sparsity: float = 0.8,
    sample: int | None = SAMPLE,
    absolute: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Spearman's rank correlation, and the overlap of the weights kept, for each pair of score sets.

    Equal scores share the mean of their ranks. The kept weights are chosen exactly, over all tensors together, as
    `select` does; the overlap is the number that both keep over the number that each keeps. Two rankings that have
    nothing to do with each other overlap in 1 - sparsity of them: `chance_overlap`.

    Args:
        scores: Name of the set -> parameter name -> scores, or weights with `absolute`; at least two sets of equal
            names and shapes, in fp32, bf16 or fp16.
        sparsity: What the kept weights are chosen at, in [0, 1).
        sample: Correlate a fixed sample of so many weights, drawn uniformly with `seed` and the same for every set;
            None, or as many as there are: all of them, which sorts them: 24 bytes a weight, and 8 for each set.
        absolute: Rank by |score|: magnitude, where the sets are weights.
        seed: Decides the sample.

    Returns:
        pairs: "a / b" -> spearman (NaN where a set's scores are all equal), top_k_overlap, excess_over_chance;
        spearman and top_k_overlap: fp64 tensors [sets, sets] in the order of names; names; sparsity, kept,
        chance_overlap; compared: weights that were correlated; total; exact: whether that is all of them.

    Raises:
        ValueError: There are fewer than two sets, they differ in names or shapes, a score is NaN, or an argument is
            out of range.
    """
    check_fraction("sparsity", sparsity)
    if sample is not None and sample < 2:
        raise ValueError(f"sample is {sample}: use 2 or more, or None for all weights")
    if len(scores) < 2:
        raise ValueError(f"scores has {len(scores)} set(s): give at least two to compare")
    first_name, first = next(iter(scores.items()))
    shapes = {name: tensor.shape for name, tensor in first.items()}
    for name, tensors in scores.items():
        wrong = sorted(shapes.keys() ^ tensors.keys()) + [
            n for n, t in tensors.items() if n in shapes and t.shape != shapes[n]
        ]
        if wrong:
            raise ValueError(f"sets {first_name!r} and {name!r} differ in {', '.join(wrong)}")
    total = sum(shape.numel() for shape in shapes.values())
    if total < 2:
        raise ValueError(f"the sets have {total} weights: give at least two")
    places = _places(total, sample, seed)
    sets = {name: _summary(tensors, sparsity, places, absolute) for name, tensors in scores.items()}
    return _agreement(sets, sparsity, total)


def compute_optimizer_agreement(
    model: nn.Module,
    optimizers: Mapping[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]],
    train_fn: Callable[[nn.Module, torch.optim.Optimizer], Any],
    *,
    seeds: Sequence[int] = (0, 1),
    sparsity: float = 0.8,
    sample: int | None = SAMPLE,
    score_fn: Callable[[nn.Module], Mapping[str, Tensor]] | None = None,
    exclude: Sequence[str] = (),
    progress: Telling = None,
) -> dict[str, Any]:
    """Train the network with each optimizer from the same weights, and measure how far their rankings agree.

    Each optimizer trains once for every seed. Pairs of one optimizer under two seeds tell how far two runs agree that
    differ in nothing but the order of data: two optimizers disagree only as far as their agreement lies below that.

    Args:
        model: The network at the weights to start from; left as found, which takes one copy of its weights.
        optimizers: Name -> function of the parameters, e.g. `lambda weights: torch.optim.SGD(weights, lr=0.1)`.
        train_fn: train_fn(model, optimizer) trains in place. Torch is seeded before, so that data which is shuffled
            by torch's own generator comes in the same order for every optimizer of a seed.
        seeds: Whole numbers; one for each training of each optimizer. Two at least, to know what two runs differ by.
        sparsity: What the kept weights are chosen at, in [0, 1).
        sample: See `compute_rank_agreement`. Of each run only this sample and a byte a weight are held.
        score_fn: score_fn(model) -> scores of the prunable weights; None: their magnitude.
        exclude: Patterns of weights that do not count, see `prunable`.
        progress: Who is told.

    Returns:
        What `compute_rank_agreement` gives, with sets named by optimizer, and "sgd, seed 1" where there are several
        seeds; and between_optimizers, within_optimizers: mean spearman and top_k_overlap over the pairs of different
        optimizers under the same seed, and of one optimizer under different seeds (None where there is no such pair).

    Raises:
        ValueError: There are fewer than two trainings, an argument is out of range, or weights became NaN.
    """
    check_fraction("sparsity", sparsity)
    if len(set(seeds)) != len(seeds) or len(optimizers) * len(seeds) < 2:
        raise ValueError(
            f"{len(optimizers)} optimizers and seeds {list(seeds)} make no two different trainings: give more of them"
        )
    weights = prunable(model, exclude)
    if not weights:
        raise ValueError("the network has no prunable weight that is not excluded")
    total = sum(weight.numel() for weight in weights.values())
    places = _places(total, sample, 0)
    runs = [(name, seed) for seed in seeds for name in optimizers]
    sets: dict[str, _Summary] = {}
    of: dict[str, tuple[str, int]] = {}
    for name, seed in follow(runs, "training with each optimizer", len(runs), progress):
        label = f"{name}, seed {seed}" if len(seeds) > 1 else name
        with preserved(model, training=True, weights=True), seeded(seed):
            train_fn(model, optimizers[name](model.parameters()))
            scores = weights if score_fn is None else score_fn(model)
            if scores.keys() != weights.keys():
                raise ValueError(
                    f"score_fn gives other weights than the prunable ones: {sorted(scores.keys() ^ weights.keys())}"
                )
            ordered = {one: scores[one] for one in weights}
            sets[label] = _summary(ordered, sparsity, places, score_fn is None)
        of[label] = (name, seed)
    result = _agreement(sets, sparsity, total)
    between, within = [], []
    for one, other in combinations(sets, 2):
        pair = result["pairs"][f"{one} / {other}"]
        if of[one][0] == of[other][0]:
            within.append(pair)
        elif of[one][1] == of[other][1]:
            between.append(pair)
    return result | {"between_optimizers": _means(between), "within_optimizers": _means(within)}


@dataclass(frozen=True)
class _Summary:
    """What is held of a set: enough for both measures."""

    ranks: Tensor
    """fp64, of the sampled weights."""
    kept: Mask


def _summary(
    scores: Mapping[str, Tensor], sparsity: float, places: Tensor | None, absolute: bool
) -> _Summary:
    total = sum(tensor.numel() for tensor in scores.values())
    kept = select(scores, total - round(sparsity * total), absolute=absolute)
    values = _at(scores, places)
    return _Summary(mean_ranks(values.abs() if absolute else values), kept)


def _places(total: int, sample: int | None, seed: int) -> Tensor | None:
    """Sorted flat indices over all tensors, without repetition; None: all."""
    if sample is None or sample >= total:
        return None
    generator = torch.Generator().manual_seed(seed)
    if total <= 1 << 24:
        return torch.randperm(total, generator=generator)[:sample].sort().values
    # Among so many, what is drawn twice is rare, and is drawn again.
    places = torch.empty(0, dtype=torch.int64)
    while len(places) < sample:
        more = torch.randint(total, (sample - len(places),), generator=generator)
        places = torch.unique(torch.cat((places, more)))
    return places


def _at(scores: Mapping[str, Tensor], places: Tensor | None) -> Tensor:
    """The scores at these places, fp32 on the CPU."""
    parts, start = [], 0
    for tensor in scores.values():
        for piece in pieces(tensor.detach(), 1 << 22):
            if places is None:
                parts.append(piece.float().cpu())
            else:
                low, high = torch.searchsorted(
                    places, torch.tensor([start, start + len(piece)])
                ).tolist()
                inside = (places[low:high] - start).to(piece.device)
                parts.append(piece[inside].float().cpu())
            start += len(piece)
    return torch.cat(parts)


def _agreement(sets: Mapping[str, _Summary], sparsity: float, total: int) -> dict[str, Any]:
    names = list(sets)
    keep = total - round(sparsity * total)
    compared = len(next(iter(sets.values())).ranks)
    correlations = torch.eye(len(names), dtype=torch.float64)
    overlaps = torch.eye(len(names), dtype=torch.float64)
    pairs = {}
    for (i, one), (j, other) in combinations(enumerate(names), 2):
        rank = correlation(sets[one].ranks, sets[other].ranks)
        both = sum(
            int((mine & theirs.to(mine.device)).sum())
            for name, kept in sets[one].kept.items()
            for mine, theirs in blocks(kept, sets[other].kept[name])
        )
        share = both / keep
        correlations[i, j] = correlations[j, i] = rank
        overlaps[i, j] = overlaps[j, i] = share
        pairs[f"{one} / {other}"] = {
            "spearman": rank,
            "top_k_overlap": share,
            "excess_over_chance": share - keep / total,
        }
    return {
        "names": names,
        "pairs": pairs,
        "spearman": correlations,
        "top_k_overlap": overlaps,
        "sparsity": sparsity,
        "kept": keep,
        "chance_overlap": keep / total,
        "compared": compared,
        "total": total,
        "exact": compared == total,
    }


def _means(pairs: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    if not pairs:
        return None
    return {
        name: sum(pair[name] for pair in pairs) / len(pairs)
        for name in ("spearman", "top_k_overlap")
    }
