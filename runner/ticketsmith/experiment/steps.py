"""From a spec to its ordered steps: every round the experiment may ever run, and what each waits for."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ticketsmith.experiment.contract import Arm
from ticketsmith.experiment.spec import Control, ExperimentSpec

BENCHMARK = "benchmark"
REPORT = "report"


@dataclass(frozen=True, slots=True)
class Step:
    """One round to be: light, because most steps of a large experiment are only looked at."""

    name: str
    """Name within the experiment, e.g. ticket-s0-l03."""
    arm: Arm
    seed: int | None
    level: int | None
    """0 is dense; None for benchmark and report."""
    sparsity: float | None
    """Target: fraction of the prunable weights that are zero; None for benchmark and report."""
    parents: tuple[str, ...]
    """Names of the steps whose rounds come first. The last one decides whether this one may start: the round
    whose weights are scored for a ticket, the ticket for its controls."""

    @property
    def trains(self) -> bool:
        """Whether it trains a network, as all but benchmark and report do."""
        return self.seed is not None


def steps(spec: ExperimentSpec) -> tuple[Step, ...]:
    """Every step in the order in which rounds are started.

    Level by level over all seeds, so that comparisons between seeds come early; a level's tickets before its
    controls; then benchmark (where the spec asks for one) and report. Parents always precede their children.
    """
    return _expand(
        spec.pruning.method,
        spec.sparsities.ladder(),
        spec.controls,
        spec.seeds,
        spec.benchmark is not None,
    )


@lru_cache(maxsize=256)
def _expand(
    method: Literal["iterative", "oneShot"],
    ladder: tuple[float, ...],
    controls: tuple[Control, ...],
    seeds: tuple[int, ...],
    benchmark: bool,
) -> tuple[Step, ...]:
    found = [Step(round_name("dense", seed, 0), "dense", seed, 0, 0.0, ()) for seed in seeds]
    for level, sparsity in enumerate(ladder, start=1):
        for seed in seeds:
            dense = round_name("dense", seed, 0)
            scored = dense if method == "oneShot" else round_name("ticket", seed, level - 1)
            parents = (dense,) if scored == dense else (dense, scored)
            name = round_name("ticket", seed, level)
            found.append(Step(name, "ticket", seed, level, sparsity, parents))
        for seed in seeds:
            parents = (round_name("dense", seed, 0), round_name("ticket", seed, level))
            found += [
                Step(round_name(arm, seed, level), arm, seed, level, sparsity, parents)
                for arm in controls
            ]
    if benchmark:
        found.append(Step(BENCHMARK, "benchmark", None, None, None, tuple(s.name for s in found)))
    found.append(Step(REPORT, "report", None, None, None, tuple(s.name for s in found)))
    return tuple(found)


def round_name(arm: str, seed: int, level: int) -> str:
    """dense-s0, ticket-s0-l03; level 0 of every arm is the dense round."""
    return f"dense-s{seed}" if level == 0 else f"{arm}-s{seed}-l{level:02d}"
