"""How numbers are written, everywhere in a report the same way."""

from collections.abc import Sequence

from ticketsmith.experiment.contract import Timing
from ticketsmith.report.stats import Estimate

MISSING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
ARM_NAMES = {
    "dense": "Dense",
    "ticket": "Ticket",
    "reinit": "Re-initialised",
    "random": "Random mask",
}


def percent(fraction: float, digits: int = 1) -> str:
    """0.738 is 73.8%."""
    return f"{100 * fraction:.{digits}f}%"


def signed(number: float, digits: int = 2) -> str:
    """With a true minus sign, and no minus before a zero."""
    text = f"{number:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def accuracy(value: Estimate) -> str:
    """Percent with its interval, e.g. 97.92% [97.70, 98.14]."""
    return f"{100 * value.mean:.2f}%{_bounds(value, 100)}"


def points(value: Estimate) -> str:
    """A difference of accuracies in percentage points, e.g. 0.21 [−0.10, 0.52]."""
    return f"{signed(100 * value.mean)}{_bounds(value, 100)}"


def _bounds(value: Estimate, factor: float) -> str:
    if value.low is None or value.high is None:
        return ""
    return f" [{signed(factor * value.low)}, {signed(factor * value.high)}]"


def ratio(timing: Timing) -> str:
    """A ratio of times with its interval, e.g. 1.01× [0.98, 1.04]."""
    return f"{timing.speedup:.2f}{TIMES} [{timing.low:.2f}, {timing.high:.2f}]"


def verdict(timing: Timing) -> str:
    """What may be said of one timing: a speedup only where the interval lies above 1."""
    if timing.is_speedup:
        return f"{ratio(timing)} faster"
    return f"{ratio(timing)}: slower" if timing.is_slowdown else f"no speedup: {ratio(timing)}"


def verdicts(timings: Sequence[Timing]) -> str:
    """The same for several timings of one level: one from each seed that was timed, on each execution path."""
    if not timings:
        return "not measured"
    if len(paths := sorted({timing.path for timing in timings})) > 1:
        return "; ".join(
            f"{path} {verdicts([timing for timing in timings if timing.path == path])}"
            for path in paths
        )
    if len(timings) == 1:
        return verdict(timings[0])
    quick = [timing for timing in timings if timing.is_speedup]
    low, high = min(t.speedup for t in timings), max(t.speedup for t in timings)
    span = f"{low:.2f} to {high:.2f}{TIMES} in {len(timings)} timed"
    if not quick:
        return f"no speedup: {span}"
    return f"{span}, faster in {len(quick)} of {len(timings)}"


def verdicts_in_lines(timings: Sequence[Timing]) -> str:
    """`verdicts` for a narrow cell."""
    return verdicts(timings).replace(": ", ":\n").replace("; ", ";\n")


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return (
                f"{count / factor:.2f} {unit}"
                if count < 10 * factor
                else f"{count / factor:.1f} {unit}"
            )
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8.3 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
