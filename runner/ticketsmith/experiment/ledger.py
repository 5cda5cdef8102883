"""Finished rounds in one short line each, so that the status of a thousand rounds stays small.

A line is a name, state and gate, key, and tagged figures:

    ticket-s0-l03 Dp 0123456789abcdef t12.345 s0.488 a0.9812 A0.98

It holds what the plan still needs: the key for children, sparsity and the first gate's metric for choosing
the best, time for forecasts. Dense rounds keep every metric in full, since gates compare with them.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final, get_args

from ticketsmith.experiment.spec import GateMetric
from ticketsmith.experiment.status import GateVerdict, RoundState, RoundStatus

DETAILS: Final = 100
"""Rounds shown in detail at most."""
LATEST: Final = 40
"""Finished rounds shown in detail at most."""

_STATES: Final[Mapping[str, RoundState]] = {s[0]: s for s in get_args(RoundState)}
_GATES: Final[Mapping[str, tuple[GateVerdict | None, bool]]] = {
    "-": (None, False),
    "p": ("passed", False),
    "f": ("failed", False),
    "e": ("failed", True),
}
_GATE_LETTERS: Final = {verdict: letter for letter, verdict in _GATES.items()}
_METRICS: Final = {"a": "accuracy", "l": "loss", "A": "valAccuracy", "L": "valLoss"}
_CHOSEN_BY: Final[Mapping[GateMetric, frozenset[str]]] = {
    "accuracy": frozenset({"accuracy", "valAccuracy"}),
    "loss": frozenset({"loss", "valLoss"}),
}


def figure(value: float) -> float:
    """The precision in which rounds are compared with each other, the same in detail and in the ledger."""
    return round(value, 6)


def write(known: RoundStatus, metric: GateMetric) -> str:
    """One line for a round; `metric` is the one that tickets are chosen by."""
    gate = _GATE_LETTERS[known.gate, known.ends_branch]
    parts = [known.name, known.state[0] + gate, known.key or "-"]
    if known.duration_seconds:
        parts.append(f"t{known.duration_seconds!r}")
    if known.sparsity is not None:
        parts.append(f"s{figure(known.sparsity)!r}")
    for tag, name in _METRICS.items():
        value = known.metrics.get(name)
        if value is not None and known.arm == "dense":
            parts.append(f"{tag}{value!r}")
        elif value is not None and name in _CHOSEN_BY[metric]:
            parts.append(f"{tag}{figure(value)!r}")
    if known.attempts != 1:
        parts.append(f"x{known.attempts}")
    if known.state in {"Running", "Waiting"}:
        parts += _unfinished(known)
    return " ".join(parts)


def _unfinished(known: RoundStatus) -> Iterable[str]:
    """What a round that goes on needs besides; only where more rounds run than fit in detail."""
    if known.failures:
        yield f"f{known.failures}"
    if known.gpu_seconds:
        yield f"g{known.gpu_seconds!r}"
    if known.cost:
        yield f"c{known.cost}"
    if known.started_at is not None:
        yield f"@{known.started_at}"


@lru_cache(maxsize=20_000)
def read(line: str) -> RoundStatus:
    """The round a line stands for; ValueError on a line that `write` did not make."""
    try:
        name, letters, key, *tagged = line.split(" ")
        figures = {part[0]: part[1:] for part in tagged}
        arm, seed, level = _parts(name)
        verdict, ends_branch = _GATES[letters[1:]]
        return RoundStatus.model_construct(
            name=name,
            arm=arm,
            seed=seed,
            level=level,
            state=_STATES[letters[0]],
            attempts=int(figures.get("x", 1)),
            failures=int(figures.get("f", 0)),
            key=None if key == "-" else key,
            sparsity=float(figures["s"]) if "s" in figures else None,
            metrics={m: float(figures[tag]) for tag, m in _METRICS.items() if tag in figures},
            gate=verdict,
            ends_branch=ends_branch,
            duration_seconds=float(figures.get("t", 0.0)),
            gpu_seconds=float(figures.get("g", 0.0)),
            cost=Decimal(figures.get("c", 0)),
            started_at=figures.get("@"),
        )
    except (ValueError, KeyError, IndexError, ArithmeticError) as error:
        raise ValueError(f"status.ledger holds a line that cannot be read: {line!r}") from error


def _parts(name: str) -> tuple[str, int | None, int | None]:
    """Arm, seed and level of a round's name, see steps.round_name."""
    arm, *numbers = name.split("-")
    seed = int(numbers[0][1:]) if numbers else None
    level = int(numbers[1][1:]) if len(numbers) > 1 else None
    return arm, seed, 0 if arm == "dense" else level


def recall(details: Iterable[RoundStatus], lines: Iterable[str]) -> dict[str, RoundStatus]:
    """Every round a status knows of, by name: those in detail, then those in the ledger."""
    known = {one.name: one for one in details}
    for line in lines:
        one = read(line)
        known[one.name] = one
    return known


def arrange(
    known: Mapping[str, RoundStatus],
    finished: Iterable[str],
    lines: Iterable[str],
    metric: GateMetric,
) -> tuple[tuple[RoundStatus, ...], tuple[str, ...]]:
    """Split the rounds into those shown in detail and ledger lines.

    In detail stand the running, waiting and failed rounds first, then the latest finished ones: those that
    finished just now (`finished`, in order), then those shown before. Lines of settled rounds stay as they are.
    """
    filed = {}
    for line in lines:
        one = read(line)
        if known[one.name] is one and one.state not in {"Running", "Waiting"}:
            filed[one.name] = line
    groups: dict[RoundState, list[RoundStatus]] = {s: [] for s in get_args(RoundState)}
    latest = [known[name] for name in reversed(list(finished))]
    fresh = {one.name for one in latest}
    for name, one in known.items():
        if name not in filed and name not in fresh:
            groups[one.state].append(one)
    done = [*(one for one in latest if one.state == "Done"), *groups["Done"]]
    failed = [*(one for one in latest if one.state == "Failed"), *groups["Failed"]]
    urgent = [*groups["Running"], *groups["Waiting"], *failed, *groups["Stopped"]]
    room = min(LATEST, max(0, DETAILS - len(urgent)))
    shown = (*urgent[:DETAILS], *done[:room])
    displaced = [*urgent[DETAILS:], *done[room:]]
    return shown, (*filed.values(), *(write(one, metric) for one in reversed(displaced)))
