"""What a spec's fields rule out together, as far as it can be known without data or a network."""

from collections.abc import Iterator

from ticketsmith.experiment.duration import Duration
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith.experiment.steps import steps

MOST_ROUNDS = 20_000
"""The status must hold them all."""


def check(spec: ExperimentSpec) -> Iterator[str]:
    """One sentence per contradiction, naming the field, its value and the remedy; none if the spec is sound."""
    yield from _check_ladder(spec)
    yield from _check_pattern(spec)
    yield from _check_durations(spec)
    yield from _check_gates(spec)


def _check_ladder(spec: ExperimentSpec) -> Iterator[str]:
    below = 0.0
    for level, sparsity in enumerate(spec.sparsities.ladder(), start=1):
        if not below < sparsity < 1.0:
            problem = "removes nothing more" if sparsity < 1.0 else "leaves no weight at all"
            yield (
                f"spec.sparsities cannot be reached: level {level} (sparsity {sparsity!r}) {problem};"
                f" ask for at most {level - 1} levels"
                if level > 1
                else f"spec.sparsities cannot be reached: level 1 (sparsity {sparsity!r}) {problem};"
                " choose a rate between 0.01 and 0.99"
            )
            return
        below = sparsity
    count = len(steps(spec))
    if count > MOST_ROUNDS:
        yield (
            f"spec asks for {count} rounds, more than {MOST_ROUNDS}: ask for fewer levels, seeds or controls,"
            " or split the experiment"
        )


def _check_pattern(spec: ExperimentSpec) -> Iterator[str]:
    """N:M removes its share at the first level, whatever that level asks for."""
    n, _, m = spec.pruning.pattern.partition(":")
    first = next(iter(spec.sparsities.ladder()), None)
    if not m or first is None:
        return
    share = 1 - int(n) / int(m)
    if first < share:
        yield (
            f"spec.sparsities begins with {first:.6g}, but spec.pruning.pattern {spec.pruning.pattern} removes "
            f"{share:.6g} at once: begin there, e.g. targets: [{share:.6g}]"
        )


def _check_durations(spec: ExperimentSpec) -> Iterator[str]:
    training = spec.training
    schedule = training.lr_schedule
    within = [
        ("spec.pruning.rewind", spec.pruning.rewind),
        ("spec.training.lrSchedule.warmup", schedule.warmup),
        *(
            (f"spec.training.lrSchedule.milestones[{i}]", milestone)
            for i, milestone in enumerate(schedule.milestones)
        ),
    ]
    for path, value in within:
        if _is_longer(value, training.duration):
            yield (
                f"{path} is {value}, later than training ends (spec.training.duration is"
                f" {training.duration}): shorten it or train longer"
            )
    for i, (one, other) in enumerate(
        zip(schedule.milestones, schedule.milestones[1:], strict=False), start=1
    ):
        if _is_longer(one, other) or one == other:
            yield (
                f"spec.training.lrSchedule.milestones[{i}] is {other}, not after {one}:"
                " write the milestones in rising order"
            )


def _is_longer(one: Duration, other: Duration) -> bool:
    """Whether `one` is longer whatever the length of an epoch is."""
    at_least = one.epochs >= other.epochs and one.iterations >= other.iterations
    return at_least and one != other


def _check_gates(spec: ExperimentSpec) -> Iterator[str]:
    for i, gate in enumerate(spec.gates):
        if gate.metric != "accuracy":
            continue
        if gate.max_drop is not None and gate.max_drop >= 1:
            yield (
                f"spec.gates[{i}].maxDrop is {gate.max_drop:g}, but accuracy is a fraction:"
                f" write {gate.max_drop / 100:g} for {gate.max_drop:g} points"
            )
        if gate.worst is not None and not 0 <= gate.worst <= 1:
            remedy = f"write {gate.worst / 100:g}" if 1 < gate.worst <= 100 else "write e.g. 0.9"
            yield f"spec.gates[{i}].worst is {gate.worst:g}, but accuracy is a fraction: {remedy}"
