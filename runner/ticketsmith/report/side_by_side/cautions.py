"""Where a comparison is not like for like, in sentences. Pure."""

from collections.abc import Callable, Iterator, Sequence

from ticketsmith.experiment.levels import is_better_high
from ticketsmith.report.side_by_side.matching import Match, difference
from ticketsmith.report.side_by_side.sides import Side
from ticketsmith.report.side_by_side.words import UNITS, gain, sparsities
from ticketsmith.report.telling import gates_in_words, warnings
from ticketsmith.report.words import listed, plural


def cautions(sides: Sequence[Side], found: Sequence[Match]) -> tuple[str, ...]:
    """What a reader must know before setting any two figures side by side; each side's own warnings come last."""
    said = [
        *_data(sides),
        *_networks(sides),
        *_gates(sides),
        *_baselines(sides),
        *_seeds(sides),
        *_versions(sides),
        *_machines(sides),
        *_money(sides),
        *_unmatched(sides, found),
    ]
    own = [f"{one.label}: {sentence}" for one in sides for sentence in warnings(one.run, one.rows)]
    return (*said, *own)


def same_data(sides: Sequence[Side]) -> bool:
    """Whether all were measured on the same data."""
    return len({one.run.experiment.spec.dataset.model_dump_json() for one in sides}) == 1


def _data(sides: Sequence[Side]) -> Iterator[str]:
    if same_data(sides):
        return
    names = _each(sides, lambda one: one.run.experiment.spec.dataset.name)
    yield (
        f"The data differ ({names}): qualities are of different tasks, so no difference between them is given."
        if len({one.run.experiment.spec.dataset.name for one in sides}) > 1
        else "The data differ in their place or options, see spec.dataset below: no difference of quality is given."
    )


def _networks(sides: Sequence[Side]) -> Iterator[str]:
    models = {one.run.experiment.spec.model.model_dump_json() for one in sides}
    if len(models) > 1:
        names = _each(sides, lambda one: one.run.experiment.spec.model.name)
        yield f"The networks differ ({names}): the same sparsity leaves different numbers of weights."
    excluded = {one.run.experiment.spec.pruning.exclude for one in sides}
    if len(models) == 1 and len(excluded) > 1:
        yield "What is prunable differs (spec.pruning.exclude): the same sparsity removes different numbers of weights."


def _gates(sides: Sequence[Side]) -> Iterator[str]:
    if len({one.run.experiment.spec.gates for one in sides}) > 1:
        names = _each(sides, lambda one: gates_in_words(one.run.experiment.spec.gates))
        yield f"The gates differ ({names}): their best tickets were held to different rules."


def _baselines(sides: Sequence[Side]) -> Iterator[str]:
    """Dense networks that are not equally good; those that come from the very same rounds are."""
    first = sides[0]
    for other in sides[1:] if same_data(sides) else ():
        if first.dense is None or other.dense is None or first.dense.keys == other.dense.keys:
            continue
        apart = difference(first.dense, other.dense, first).estimate
        if not apart.mean or (apart.half_width is not None and not apart.excludes_zero):
            continue
        unit = UNITS[is_better_high(first.measure)]
        sure = "95% interval" if apart.half_width is not None else "too few seeds for an interval"
        yield (
            f"The dense baselines differ: {other.label}'s is {gain(apart, first.measure)} {unit} against "
            f"{first.label}'s ({sure}), so equal drops are not equal quality."
        )


def _seeds(sides: Sequence[Side]) -> Iterator[str]:
    seeds = [frozenset(one.run.experiment.spec.seeds) for one in sides]
    if len(set(seeds)) == 1:
        return
    first = sides[0]
    for other, theirs in zip(sides[1:], seeds[1:], strict=True):
        shared = seeds[0] & theirs
        if shared == seeds[0] == theirs:
            continue
        yield (
            f"{first.label} and {other.label} share {plural(len(shared), 'seed')}: differences are paired over those "
            "alone."
            if shared
            else f"{first.label} and {other.label} share no seed: differences are of independent means, with wider "
            "intervals than pairing would give."
        )


def _versions(sides: Sequence[Side]) -> Iterator[str]:
    for name, read in (("PyTorch", _torch), ("TicketSmith", _ticketsmith)):
        known = [one for one in sides if read(one)]
        if len({read(one) for one in known}) > 1:
            versions = _each(known, lambda one, read=read: listed(read(one)))  # type: ignore[misc]
            yield f"{name} differs ({versions}): results may differ for that alone."
    devices = [one for one in sides if one.trained_on]
    if len({one.trained_on for one in devices}) > 1:
        names = _each(devices, lambda one: listed(one.trained_on))
        yield f"The rounds ran on different devices ({names}): their times and GPU time do not compare."


def _machines(sides: Sequence[Side]) -> Iterator[str]:
    timed = [one for one in sides if one.timed_on]
    if len({one.timed_on for one in timed}) > 1:
        names = _each(timed, lambda one: "; ".join(one.timed_on))
        yield f"Speed was measured on different machines ({names}): the speedups do not compare."
    if len({one.batch_size for one in timed}) > 1:
        names = _each(timed, lambda one: str(one.batch_size))
        yield f"The smallest batch timed differs ({names}): the speedups do not compare."


def _money(sides: Sequence[Side]) -> Iterator[str]:
    currencies = {one.run.status.usage.currency for one in sides}
    if len(currencies - {None}) > 1:
        yield f"Costs are in different currencies ({_each(sides, _currency)})."
    elif None in currencies and len(currencies) > 1:
        without = [one.label for one in sides if one.run.status.usage.currency is None]
        yield f"No price was known for {listed(without)}: no cost is given there."


def _unmatched(sides: Sequence[Side], found: Sequence[Match]) -> Iterator[str]:
    alone = [
        (one.label, [m.sparsity for m in found if m.levels[n] and not m.is_shared])
        for n, one in enumerate(sides)
    ]
    parts = [f"{label} at {sparsities(values)}" for label, values in alone if values]
    if parts:
        yield (
            f"Not measured by any other: {'; '.join(parts)}. Nothing is interpolated, so these levels have no "
            "counterpart."
        )


def _each(sides: Sequence[Side], read: Callable[[Side], str]) -> str:
    return "; ".join(f"{one.label}: {read(one)}" for one in sides)


def _torch(one: Side) -> tuple[str, ...]:
    return one.torch


def _ticketsmith(one: Side) -> tuple[str, ...]:
    return one.ticketsmith


def _currency(one: Side) -> str:
    return one.run.status.usage.currency or "none"
