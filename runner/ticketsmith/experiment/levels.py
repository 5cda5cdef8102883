"""What a status says of each sparsity, seed by seed: what lists and comparisons of experiments stand on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ticketsmith.experiment.status import RoundStatus

Measure = Literal["accuracy", "loss", "valAccuracy", "valLoss"]
"""What quality may be read from: of the test set, or of the validation split."""
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True)
class Level:
    """One arm at one level: its rounds that are done and measured the quality asked for."""

    level: int
    """0 is dense."""
    sparsity: float
    """Measured; mean over the seeds."""
    quality: Mapping[int, float]
    """By seed."""
    drop: Mapping[int, float]
    """Quality lost against the same seed's dense round, by seed; negative is a gain. Empty for the dense level."""
    keys: frozenset[str]
    """Of its rounds' artifacts."""


def is_better_high(measure: Measure) -> bool:
    """Whether more of it is better."""
    return measure in {"accuracy", "valAccuracy"}


def levels(rounds: Iterable[RoundStatus], measure: Measure, arm: str = "ticket") -> list[Level]:
    """The dense level, then the arm's, ever sparser; those without a measured round are left out."""
    found: dict[int, dict[int, RoundStatus]] = defaultdict(dict)
    for one in rounds:
        if one.state == "Done" and one.arm in {"dense", arm} and measure in one.metrics:
            found[one.level or 0][one.seed or 0] = one
    dense = {seed: one.metrics[measure] for seed, one in found.get(0, {}).items()}
    sign = 1.0 if is_better_high(measure) else -1.0
    made = []
    for level, by_seed in sorted(found.items()):
        quality = {seed: one.metrics[measure] for seed, one in sorted(by_seed.items())}
        made.append(
            Level(
                level=level,
                sparsity=round(_mean(one.sparsity or 0.0 for one in by_seed.values()), 9),
                quality=quality,
                drop={s: sign * (dense[s] - q) for s, q in quality.items() if level and s in dense},
                keys=frozenset(one.key for one in by_seed.values() if one.key),
            )
        )
    return made


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)
