"""What can be said against an experiment before anything runs: the spec alone, then names, data and counts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

import lottery_tickets
from lottery_tickets import channels
from lottery_tickets.patterns import check_fits, parse, reduction_axes
from ticketsmith.engine import data, models
from ticketsmith.experiment.check import check
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ExperimentSpec


def check_experiment(spec: ExperimentSpec) -> None:
    """BadSpec, in one sentence that begins with the field, for the first thing that cannot work here.

    Reads no images and trains nothing; takes some milliseconds once torch is imported.
    """
    problem = next(check(spec), None)
    if problem is not None:
        raise BadSpec(problem)
    try:
        data.check(spec.dataset)
        _check_network(spec)
    except BadSpec as found:
        raise BadSpec(_from_spec(str(found))) from found


def _check_network(spec: ExperimentSpec) -> None:
    known = data.shape(spec.dataset)
    if known is None:  # only the images themselves tell their size and classes
        models.check(spec.model)
        return
    input_shape, num_classes = known
    models.check(spec.model, input_shape, num_classes)
    with torch.device("meta"):
        unweighted = spec.model.model_copy(update={"weights": None})
        network = models.build(unweighted, input_shape, num_classes)
    with _told("pruning.exclude"):
        weights = lottery_tickets.prunable(network, spec.pruning.exclude)
    with _told("pruning.rateFactors"):
        lottery_tickets.match(list(weights), spec.pruning.rate_factors)
    _check_ladder(spec, sum(weight.numel() for weight in weights.values()))
    _check_pruning(spec, network, weights, input_shape)


def _check_pruning(
    spec: ExperimentSpec,
    network: nn.Module,
    weights: Mapping[str, Tensor],
    input_shape: tuple[int, int, int],
) -> None:
    """The first level, as far as shapes alone decide it."""
    pruning, ladder = spec.pruning, spec.sparsities.ladder()
    if not ladder:  # only the dense networks are asked for
        return
    if pruning.pattern == "channel":
        example = torch.empty(1, *input_shape, device="meta")
        with _told("pruning.pattern: channel"):
            groups = channels.channel_groups(network, example, exclude=pruning.exclude)
            if not groups.groups:
                why = next((one.why for one in groups.untouched.values()), "it has none")
                raise ValueError(f"no channel of this network may be removed ({why})")
        return
    if pruning.pattern != "unstructured":
        n, m = parse(pruning.pattern)
        with _told("pruning.pattern"):
            check_fits(weights, n, m, reduction_axes(network, weights))
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    counts = {name: (weight.numel(), weight.numel()) for name, weight in weights.items()}
    with _told("pruning.scope or rateFactors"):
        lottery_tickets.keep_counts(
            counts, ladder[0], scope=pruning.scope, rate_factors=pruning.rate_factors, shapes=shapes
        )


@contextmanager
def _told(field: str) -> Iterator[None]:
    """The pruning library refuses with ValueError what a person asked for amiss."""
    try:
        yield
    except ValueError as error:
        raise BadSpec(f"{field}: {error}") from error


def _check_ladder(spec: ExperimentSpec, prunable: int) -> None:
    """Every level must remove at least one weight of those there are, and leave one."""
    if not prunable:
        raise BadSpec("pruning.exclude leaves no weight that could be pruned: exclude less")
    before = prunable
    for level, sparsity in enumerate(spec.sparsities.ladder(), start=1):
        left = prunable - round(sparsity * prunable)
        if not 0 < left < before:
            what = "leaves none" if left <= 0 else "removes none"
            raise BadSpec(
                f"sparsities: level {level} (sparsity {sparsity:.6g}) {what} of the {prunable:,} weights that may "
                f"be pruned: ask for fewer levels or a lower sparsity"
            )
        before = left


def _from_spec(sentence: str) -> str:
    """The engine names fields from below spec; a person's file has them under spec."""
    first = sentence.split(maxsplit=1)[0].split(".")[0].rstrip(":")
    return f"spec.{sentence}" if first in ExperimentSpec.model_fields else sentence
