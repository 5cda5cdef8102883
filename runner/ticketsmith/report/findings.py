"""What the results of a run say, as numbers: one row for each arm and level, over its seeds. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ticketsmith.experiment.contract import RoundResult, Timing
from ticketsmith.experiment.gates import judge
from ticketsmith.experiment.results import Evaluation, Size
from ticketsmith.report.runs import Round, Run
from ticketsmith.report.stats import Estimate, estimate, paired

ARMS = ("dense", "ticket", "reinit", "random")


@dataclass(frozen=True, slots=True)
class Row:
    """One arm at one level: what its finished rounds measured."""

    arm: str
    level: int
    rounds: tuple[Round, ...]
    """Finished ones, by seed."""
    drop: Estimate | None
    """Test accuracy lost against the same seed's dense round, as a fraction; None for the dense arm."""
    verdicts: tuple[bool, ...]
    """Whether each round that a gate could be applied to passed. The driver's verdict on tickets; controls
    are held to the same rule here, for comparison."""
    timings: tuple[Timing, ...]
    """At the smallest batch size timed, on the path named in each."""
    sizes: tuple[Size, ...]

    @property
    def results(self) -> list[RoundResult]:
        return [known.result for known in self.rounds if known.result]

    @property
    def sparsity(self) -> float:
        """Mean measured sparsity over the seeds; 0 for the dense arm."""
        found = [result.sparsity or 0.0 for result in self.results]
        return sum(found) / len(found)

    @property
    def remaining(self) -> float | None:
        """Mean number of prunable weights left."""
        return _mean(result.remaining for result in self.results)

    @property
    def prunable(self) -> int | None:
        return next((result.prunable for result in self.results if result.prunable), None)

    @property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy by seed."""
        return by_seed(self.rounds, lambda result: result.metrics.get("accuracy"))

    @property
    def accuracy(self) -> Estimate | None:
        return estimate(list(self.accuracies.values())) if self.accuracies else None

    @property
    def stopping(self) -> Estimate | None:
        """Step of the lowest validation loss: when early stopping would have ended the training."""
        steps = by_seed(self.rounds, lambda result: result.best_iteration)
        return estimate(list(steps.values())) if steps else None

    @property
    def dense_bytes(self) -> float | None:
        return _mean(size.dense_bytes for size in self.sizes)

    @property
    def sparse_bytes(self) -> float | None:
        return _mean(size.sparse_bytes for size in self.sizes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tickets against a control at one level: ticket minus control, paired by seed."""

    control: str
    level: int
    sparsity: float
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over training, averaged over the seeds at steps that all of them measured."""

    arm: str
    level: int
    sparsity: float
    iterations: tuple[int, ...]
    values: tuple[Estimate, ...]


def rows(run: Run) -> list[Row]:
    """Every arm and level that has a finished round, dense first, then arm by arm, level by level."""
    groups: dict[tuple[str, int], list[Round]] = defaultdict(list)
    for known in run.rounds:
        if known.result and known.status.arm in ARMS:
            groups[known.status.arm, known.result.level or 0].append(known)
    baseline = {
        seed: value
        for known in groups.get(("dense", 0), [])
        for seed, value in by_seed([known], lambda result: result.metrics.get("accuracy")).items()
    }
    smallest = smallest_batch(run)
    made: list[Row] = []
    for arm, level in sorted(groups, key=lambda group: (ARMS.index(group[0]), group[1])):
        members = tuple(sorted(groups[arm, level], key=lambda known: known.status.seed or 0))
        keys = {known.status.key for known in members}
        measured = by_seed(members, lambda result: result.metrics.get("accuracy"))
        made.append(
            Row(
                arm,
                level,
                members,
                None if arm == "dense" else paired(baseline, measured),
                _verdicts(run, members, groups.get(("dense", 0), [])),
                tuple(t for t in timings(run) if t.round in keys and t.batch_size == smallest),
                tuple(s for b in run.benchmarks for s in b.sizes if s.round in keys),
            )
        )
    return made


def timings(run: Run) -> list[Timing]:
    """Every timing of a pruned network; the dense network's own are left out."""
    dense = _dense_keys(run)
    return [t for b in run.benchmarks for t in b.timings if t.round not in dense]


def on_best_path(measured: Sequence[Timing]) -> list[Timing]:
    """Of one level's timings those on the execution path that suits it best, judged where it does least there."""
    by_path: dict[str, list[Timing]] = {}
    for timing in measured:
        by_path.setdefault(timing.path, []).append(timing)
    return max(by_path.values(), key=lambda there: min(t.low for t in there), default=[])


def null_controls(run: Run) -> list[Timing]:
    """Timings of a second copy of the dense network against the first: how far chance alone moves a ratio."""
    dense = _dense_keys(run)
    return [t for b in run.benchmarks for t in b.timings if t.round in dense and t.low != t.high]


def smallest_batch(run: Run) -> int | None:
    """The smallest batch size that was timed."""
    return min((t.batch_size for t in timings(run)), default=None)


def compare(table: Iterable[Row], control: str) -> Comparison | None:
    """Tickets against `control` at the deepest level where both were tested with a common seed."""
    levels = {(row.arm, row.level): row for row in table}
    for level in sorted({level for arm, level in levels if arm == control}, reverse=True):
        ticket = levels.get(("ticket", level))
        if ticket is None:
            continue
        difference = paired(ticket.accuracies, levels[control, level].accuracies)
        if difference is not None:
            return Comparison(control, level, ticket.sparsity, difference)
    return None


def curve(row: Row, measure: Callable[[Evaluation], float]) -> Curve | None:
    """The mean of `measure` over the row's seeds, by iteration; None where nothing was measured."""
    by_step: dict[int, list[float]] = defaultdict(list)
    told = [known for known in row.rounds if known.evaluations]
    for known in told:
        for evaluation in known.evaluations:
            by_step[evaluation.iteration].append(measure(evaluation))
    steps = tuple(step for step in sorted(by_step) if len(by_step[step]) == len(told))
    if not steps:
        return None
    values = tuple(estimate(by_step[step]) for step in steps)
    return Curve(row.arm, row.level, row.sparsity, steps, values)


def by_seed(
    rounds: Iterable[Round], measure: Callable[[RoundResult], float | None]
) -> dict[int, float]:
    """What `measure` finds in each round's result, by seed; rounds without it are left out."""
    found: dict[int, float] = {}
    for known in rounds:
        value = measure(known.result) if known.result else None
        if value is not None and known.status.seed is not None:
            found[known.status.seed] = value
    return found


def _verdicts(run: Run, members: Iterable[Round], dense: Iterable[Round]) -> tuple[bool, ...]:
    gates = run.experiment.spec.gates
    baselines = {known.status.seed: known.result.metrics for known in dense if known.result}
    found: list[bool] = []
    for known in members:
        if known.status.gate is not None:
            found.append(known.status.gate == "passed")
        elif gates and known.result and known.status.arm != "dense":
            beside = baselines.get(known.status.seed)
            if beside is not None:
                found.append(not judge(gates, beside, known.result.metrics))
    return tuple(found)


def _dense_keys(run: Run) -> set[str]:
    return {k.status.key for k in run.rounds if k.status.arm == "dense" and k.status.key}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
