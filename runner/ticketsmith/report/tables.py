"""The tables of a report, as text in cells."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ticketsmith.experiment.status import Status
from ticketsmith.report.findings import Row, null_controls, smallest_batch, timings
from ticketsmith.report.runs import Run
from ticketsmith.report.telling import best_row
from ticketsmith.report.words import (
    ARM_NAMES,
    MISSING,
    accuracy,
    duration,
    percent,
    plural,
    points,
    ratio,
    size,
    verdict,
    verdicts_in_lines,
)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, where a line break begins a second line in a cell. The first column names the row; `words`
    are the columns that hold words, not figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: frozenset[int] = field(default=frozenset({0}))
    strong: frozenset[int] = frozenset()
    """Rows that matter most."""


def key_results(run: Run, table: Sequence[Row]) -> Table:
    """The dense network, and every arm at the level the experiment stands for (else at the deepest)."""
    best = best_row(run, table)
    level = best.level if best else max((row.level for row in table), default=0)
    return _results(run, [row for row in table if row.level in (0, level)], "At a glance", best)


def results(run: Run, table: Sequence[Row]) -> Table:
    """Every arm at every level."""
    return _results(run, table, "Every variant and level", best_row(run, table))


def _results(run: Run, table: Sequence[Row], title: str, best: Row | None) -> Table:
    batch = smallest_batch(run)
    return Table(
        title,
        (
            "Variant",
            "Sparsity",
            "Test accuracy",
            "Drop, points",
            "Gate",
            f"Speed, batch {batch}" if batch else "Speed",
            "Bytes dense\n/ sparse",
        ),
        tuple(_cells(row) for row in table),
        "Below each sparsity: prunable weights left, of all prunable ones. Brackets hold 95% intervals over "
        "seeds; a negative drop is a gain.",
        frozenset({0, 5}),
        frozenset({table.index(best)} if best in table else ()),
    )


def _cells(row: Row) -> tuple[str, ...]:
    dense = row.arm == "dense"
    judged = len(row.verdicts)
    sizes = row.dense_bytes and row.sparse_bytes
    return (
        f"{ARM_NAMES[row.arm]}\n{plural(len(row.rounds), 'seed')}",
        percent(row.sparsity) + _left(row),
        _two_lines(accuracy(row.accuracy)) if row.accuracy else MISSING,
        _two_lines(points(row.drop)) if row.drop else MISSING,
        "baseline" if dense else f"passed\n{sum(row.verdicts)} of {judged}" if judged else MISSING,
        "baseline" if dense else verdicts_in_lines(row.timings),
        f"{size(row.dense_bytes or 0)}\n/ {size(row.sparse_bytes or 0)}" if sizes else MISSING,
    )


def _left(row: Row) -> str:
    if row.remaining is None or not row.prunable:
        return ""
    return f"\n{row.remaining:,.0f} / {row.prunable:,}"


def _two_lines(value: str) -> str:
    """A figure, and its interval below it."""
    return value.replace(" [", "\n[")


def overview(tables: Sequence[tuple[Run, Sequence[Row]]]) -> Table:
    """One line for each run: what it stands for."""
    lines: list[tuple[str, ...]] = []
    for run, table in tables:
        spec, best = run.experiment.spec, best_row(run, table)
        dense = next((row.accuracy for row in table if row.arm == "dense"), None)
        passed = run.status.best
        lines.append(
            (
                run.label,
                f"{spec.model.name}\non {spec.dataset.name}",
                _two_lines(accuracy(dense)) if dense else MISSING,
                percent(best.sparsity) if best else "none passed",
                _two_lines(accuracy(best.accuracy)) if best and best.accuracy else MISSING,
                _two_lines(points(best.drop)) if best and best.drop else MISSING,
                f"{passed.seeds_passed} of {passed.seeds}" if passed else MISSING,
                verdicts_in_lines(best.timings) if best else MISSING,
                run.status.phase,
            )
        )
    return Table(
        "Every run",
        (
            "Run",
            "Network",
            "Dense accuracy",
            "Sparsity",
            "Test accuracy",
            "Drop, points",
            "Seeds",
            "Speed",
            "Phase",
        ),
        tuple(lines),
        "Sparsity, accuracy, drop and speed are those of the level each run stands for: the deepest that most of "
        "its seeds pass.",
        frozenset({0, 1, 7, 8}),
    )


def speeds(run: Run, table: Sequence[Row]) -> Table | None:
    """Every timing, the dense network's own and its null control among them."""
    if not timings(run):
        return None
    known = {k.status.key: (k.status.name, row.sparsity) for row in table for k in row.rounds}
    controls = null_controls(run)
    measured = [timing for benchmark in run.benchmarks for timing in benchmark.timings]
    lines: list[tuple[str, ...]] = []
    for timing in sorted(measured, key=lambda timing: timing.batch_size):
        name, sparsity = known.get(timing.round, (timing.round, None))
        if timing in controls:
            name, said = f"{name}, again", ratio(timing)
        else:
            said = "baseline" if sparsity == 0 else verdict(timing)
        lines.append(
            (
                name,
                MISSING if sparsity is None else percent(sparsity),
                f"{timing.batch_size}",
                timing.path,
                f"{timing.p50_ms:.3f}",
                f"{timing.p95_ms:.3f}",
                f"{1000 * timing.batch_size / timing.p50_ms:,.0f}",
                said,
            )
        )
    return Table(
        "Measured speed",
        (
            "Network",
            "Sparsity",
            "Batch",
            "Path",
            "p50, ms",
            "p95, ms",
            "Samples/s",
            "Against dense",
        ),
        tuple(lines),
        "Samples/s is the batch over the median pass. The dense network timed again against itself shows what "
        "chance alone does.",
        frozenset({0, 3, 7}),
    )


def spending(run: Run) -> Table:
    """Time and money, arm by arm, failed attempts included."""
    usage = run.status.usage
    currency = usage.currency
    groups: dict[str, list[tuple[float, float, float, int, int]]] = defaultdict(list)
    for known in run.rounds:
        s = known.status
        groups[s.arm].append(
            (s.duration_seconds, s.gpu_seconds, float(s.cost), s.attempts, s.state == "Failed")
        )
    lines = []
    for arm, spent in groups.items():
        time, gpu, cost, attempts, failed = (sum(column) for column in zip(*spent, strict=True))
        lines.append(
            _spent(
                ARM_NAMES.get(arm, arm.capitalize()),
                len(spent),
                attempts,
                failed,
                time,
                gpu,
                cost,
                currency,
            )
        )
    rounds, attempts = len(run.rounds), sum(k.status.attempts for k in run.rounds)
    failed = sum(k.status.state == "Failed" for k in run.rounds)
    lines.append(
        _spent(
            "All",
            rounds,
            attempts,
            failed,
            usage.duration_seconds,
            usage.gpu_seconds,
            float(usage.cost),
            currency,
        )
    )
    return Table(
        "Time and cost",
        ("Arm", "Rounds", "Attempts", "Failed", "Round time", "Device time (GPU)", "Cost"),
        tuple(lines),
        f"{_wall(run.status)}Round time adds up rounds that ran side by side; every attempt counts, "
        "failed ones too."
        + ("" if currency else " No price is known for this machine, so no cost is given."),
        strong=frozenset({len(lines) - 1}),
    )


def _wall(status: Status) -> str:
    if status.started_at is None or status.finished_at is None:
        return ""
    begun, ended = (
        datetime.fromisoformat(moment) for moment in (status.started_at, status.finished_at)
    )
    return f"From start to end: {duration((ended - begun).total_seconds())}. "


def _spent(
    name: str,
    rounds: float,
    attempts: float,
    failed: float,
    time: float,
    gpu: float,
    cost: float,
    currency: str | None,
) -> tuple[str, ...]:
    return (
        name,
        f"{rounds}",
        f"{attempts}",
        f"{failed}",
        duration(time),
        duration(gpu) if gpu else "none",
        f"{cost:.4f} {currency}" if currency else MISSING,
    )


def environments(run: Run) -> Table:
    """What the rounds, and the benchmark, ran on: one column for each different environment."""
    found: dict[str, dict[str, str]] = {}
    rounds = [("Rounds", k.environment) for k in run.rounds if k.environment]
    for name, one in [*rounds, *(("Benchmark", b.environment) for b in run.benchmarks)]:
        lines = {
            "Device": f"{one.device}, {one.gpus} GPUs" if one.gpus else one.device,
            "Processor": one.processor,
            "Platform": one.platform,
            "Threads of a round": f"{one.threads}",
            "Python": one.python,
            "PyTorch": one.torch + (f" (CUDA {one.cuda})" if one.cuda else ""),
            "TicketSmith": one.ticketsmith,
            "Libraries": ", ".join(f"{n} {v}" for n, v in sorted(one.packages.items())) or MISSING,
        }
        if lines not in found.values():
            number = sum(title.startswith(name) for title in found) + 1
            found[name if number == 1 else f"{name} {number}"] = lines
    keys = list(next(iter(found.values()), {}))
    return Table(
        "Environment",
        ("", *found),
        tuple((key, *(lines[key] for lines in found.values())) for key in keys),
        "" if found else "No round left a description of its environment.",
        frozenset(range(len(found) + 1)),
    )
