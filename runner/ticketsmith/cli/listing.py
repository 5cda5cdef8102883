"""ticketsmith list: experiments of many places in one table."""

import csv
import io
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ticketsmith.cli.columns import columns
from ticketsmith.cli.entry import Entry, mean
from ticketsmith.cli.gather import Found, distinct, here, on_clusters
from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.plain import share
from ticketsmith.cli.shapes import ListShape, Order
from ticketsmith.cli.words import duration, percent
from ticketsmith.cluster.connect import Wanted
from ticketsmith.experiment.levels import is_better_high
from ticketsmith.experiment.status import Phase
from ticketsmith.local.rundir import EXPERIMENT

NONE = "-"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    runs: Sequence[Path]
    """Folders of runs here."""
    clusters: Sequence[Wanted]
    everywhere: bool
    shape: ListShape
    order: Order
    reverse: bool
    phases: Sequence[Phase]


def show_list(options: Options) -> int:
    """Print what there is. The exit code: 0, or that of a place that could not be asked."""
    found = Found()
    for folder in options.runs:
        found.add(here(folder))
    found.add(on_clusters(options.clusters, everywhere=options.everywhere))
    entries = [
        entry
        for entry in distinct(found.entries)
        if not options.phases or entry.status.phase in options.phases
    ]
    _print(_sorted(entries, options), found, options)
    for problem in (*found.damaged, *found.silent):
        print(f"ticketsmith: {problem}", file=sys.stderr)
    return max((int(problem.exit_code) for problem in found.silent), default=0)


def _print(entries: Sequence[Entry], found: Found, options: Options) -> None:
    match options.shape:
        case ListShape.JSON | ListShape.YAML:
            problems = [str(problem) for problem in (*found.damaged, *found.silent)]
            documents = [entry.document() for entry in entries]
            write({"experiments": documents, "problems": problems}, Form(options.shape.value))
        case ListShape.CSV:
            print(_csv(entries), end="")
        case _:
            _table(entries, options)


def _table(entries: Sequence[Entry], options: Options) -> None:
    console = people(None)
    if not entries:
        of = f" that are {' or '.join(options.phases)}" if options.phases else ""
        say(console, f"No experiments{of} in {_asked(options)}.")
        return
    now = datetime.now(UTC)
    head = ["NAME", "WHERE", "PHASE", "PROGRESS", "SPARSITY", "QUALITY", "SEEDS", "DROP", "SPEEDUP"]
    head += ["COST", "AGE"]
    rows = [_cells(entry, now) for entry in entries]
    right = frozenset(range(3, len(head)))
    if options.shape is ListShape.WIDE:
        head += ["MODEL", "DATA", "WORK", "GPU TIME", "REASON", "MESSAGE"]
        rows = [row + _more(entry) for row, entry in zip(rows, entries, strict=True)]
        right |= {len(right) + 5, len(right) + 6}
    say(console, *columns(head, rows, right))
    idle = [entry for entry in entries if entry.lies_idle]
    if idle:
        say(console, "", "* Nothing on this machine drives it. It goes on with:")
        say(console, *map(_again, idle))


def _again(entry: Entry) -> str:
    """The command that goes on with a run here."""
    run = Path(entry.reference)
    elsewhere = [] if run.parent == Path("runs") else ["--runs", str(run.parent)]
    return "  " + shlex.join(["ticketsmith", "run", str(run / EXPERIMENT), *elsewhere])


def _asked(options: Options) -> str:
    """The places that were looked at, in words."""
    folders = [str(folder) for folder in options.runs]
    contexts = [one.context or "the kubeconfig's cluster" for one in options.clusters]
    return " or ".join(folders + contexts) or "runs"


def _cells(entry: Entry, now: datetime) -> list[str]:
    status, level = entry.status, entry.level
    best = status.best
    quality, drop = (mean(level.quality), mean(level.drop)) if level else (None, None)
    return [
        entry.name,
        entry.where,
        status.phase + "*" * entry.lies_idle,
        status.progress or NONE,
        percent(best.sparsity) if best else NONE,
        NONE if quality is None else _quality(entry, quality),
        f"{best.seeds_passed}/{best.seeds}" if best else NONE,
        NONE if drop is None else _drop(entry, drop),
        NONE if best is None or best.speedup is None else f"{best.speedup:.2f}x",
        status.usage.spent or NONE,
        duration(max(0.0, (now - entry.created).total_seconds())),
    ]


def _more(entry: Entry) -> list[str]:
    usage = entry.status.usage
    return [
        entry.model,
        entry.dataset,
        duration(usage.duration_seconds) if usage.duration_seconds else NONE,
        duration(usage.gpu_seconds) if usage.gpu_seconds else NONE,
        entry.status.reason or NONE,
        entry.status.message or NONE,
    ]


def _quality(entry: Entry, value: float) -> str:
    return f"{value:.2%}" if is_better_high(entry.measure) else f"loss {value:.4g}"


def _drop(entry: Entry, value: float) -> str:
    """Of accuracy in percentage points."""
    points = round(100 * value, 2) + 0.0  # no minus before a zero
    return f"{points:+.2f}" if is_better_high(entry.measure) else f"{value:+.4g}"


def _csv(entries: Sequence[Entry]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_FIELDS)
    for entry in entries:
        values = (read(entry) for read in _FIELDS.values())
        writer.writerow(["" if value is None else value for value in values])
    return stream.getvalue()


_FIELDS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda e: e.name,
    "where": lambda e: e.where,
    "reference": lambda e: e.reference,
    "model": lambda e: e.model,
    "dataset": lambda e: e.dataset,
    "phase": lambda e: e.status.phase,
    "reason": lambda e: e.status.reason,
    "progress": lambda e: e.status.progress,
    "sparsity": lambda e: e.status.best and e.status.best.sparsity,
    "metric": lambda e: e.measure,
    "quality": lambda e: e.level and mean(e.level.quality),
    "seeds": lambda e: e.level and len(e.level.quality),
    "seeds_passed": lambda e: e.status.best and e.status.best.seeds_passed,
    "drop": lambda e: e.level and mean(e.level.drop),
    "speedup": lambda e: e.status.best and e.status.best.speedup,
    "gpu_seconds": lambda e: e.status.usage.gpu_seconds,
    "work_seconds": lambda e: e.status.usage.duration_seconds,
    "cost": lambda e: e.status.usage.cost if e.status.usage.currency else None,
    "currency": lambda e: e.status.usage.currency,
    "created_at": lambda e: e.created.isoformat(timespec="seconds"),
    "finished_at": lambda e: e.status.finished_at,
}
"""Columns of -o csv: plain figures, empty where nothing was measured."""


def _sorted(entries: Sequence[Entry], options: Options) -> list[Entry]:
    """In the order asked for; those without the figure come last, whichever way."""
    read, falling = _KEYS[options.order]
    newest = sorted(entries, key=lambda entry: entry.created, reverse=True)
    known = [entry for entry in newest if read(entry) is not None]
    known.sort(key=read, reverse=falling != options.reverse)
    return known + [entry for entry in newest if read(entry) is None]


def _goodness(entry: Entry) -> float | None:
    value = mean(entry.level.quality) if entry.level else None
    return value if value is None or is_better_high(entry.measure) else -value


def _progress(entry: Entry) -> float | None:
    settled, planned = share(entry.status)
    return settled / planned if planned else None


_PHASES: tuple[Phase, ...] = ("Running", "Pending", "Suspended", "Failed", "Succeeded")
_KEYS: dict[Order, tuple[Callable[[Entry], Any], bool]] = {
    Order.AGE: (lambda e: e.created, True),
    Order.NAME: (lambda e: e.name, False),
    Order.WHERE: (lambda e: e.where, False),
    Order.PHASE: (lambda e: _PHASES.index(e.status.phase), False),
    Order.PROGRESS: (_progress, True),
    Order.SPARSITY: (lambda e: e.status.best and e.status.best.sparsity, True),
    Order.QUALITY: (_goodness, True),
    Order.DROP: (lambda e: e.level and mean(e.level.drop), False),
    Order.SPEEDUP: (lambda e: e.status.best and e.status.best.speedup, True),
    Order.COST: (lambda e: e.status.usage.cost if e.status.usage.currency else None, False),
}
"""What is compared, and whether the largest comes first."""
