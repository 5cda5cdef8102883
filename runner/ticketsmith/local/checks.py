"""What can be said against an experiment before anything runs: the spec alone, then names, data and counts."""

import torch

import lottery_tickets
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
    try:
        weights = lottery_tickets.prunable(network, spec.pruning.exclude)
    except ValueError as error:
        raise BadSpec(f"pruning.exclude: {error}") from error
    try:
        lottery_tickets.match(list(weights), spec.pruning.rate_factors)
    except ValueError as error:
        raise BadSpec(f"pruning.rateFactors: {error}") from error
    _check_ladder(spec, sum(weight.numel() for weight in weights.values()))


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
