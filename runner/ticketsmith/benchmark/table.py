"""Measurements as a table of text."""

from collections.abc import Mapping, Sequence

from ticketsmith.experiment.contract import Timing
from ticketsmith.experiment.results import BenchmarkDetails

_HEAD = ("NETWORK", "SPARSITY", "BATCH", "PATH", "P50 MS", "P95 MS", "SAMPLES/S", "AGAINST DENSE")
_WORDS = {0, 3, 7}


def table(details: BenchmarkDetails, names: Mapping[str, tuple[str, float]]) -> str:
    """Timings, then bytes on disk; `names` gives name and sparsity of each network by key."""
    seen: set[tuple[str, int]] = set()
    lines: list[Sequence[str]] = [_HEAD]
    dense = details.timings[0].round
    for timing in details.timings:
        name, sparsity = names[timing.round]
        again = (timing.round, timing.batch_size) in seen
        seen.add((timing.round, timing.batch_size))
        if timing.round != dense:
            said = spoken(timing)
        else:
            said = f"{_ratio(timing)} (null control)" if again else "baseline"
        lines.append(
            (
                f"{name} again" if again else name,
                f"{100 * sparsity:.1f}%",
                f"{timing.batch_size}",
                timing.path,
                f"{timing.p50_ms:.4f}",
                f"{timing.p95_ms:.4f}",
                f"{1000 * timing.batch_size / timing.p50_ms:,.0f}",
                said,
            )
        )
    sizes: list[Sequence[str]] = [("NETWORK", "DENSE BYTES", "SPARSE BYTES")]
    sizes += [
        (names[one.round][0], f"{one.dense_bytes:,}", f"{one.sparse_bytes:,}")
        for one in details.sizes
    ]
    return f"{_aligned(lines, _WORDS)}\n\n{_aligned(sizes, {0})}"


def spoken(timing: Timing) -> str:
    """What may be said of a timing: a speedup only where the interval lies above 1."""
    if timing.is_speedup:
        return f"{_ratio(timing)} faster"
    return f"no speedup: {_ratio(timing)}" + (" (slower)" if timing.is_slowdown else "")


def _ratio(timing: Timing) -> str:
    return f"{timing.speedup:.2f}x [{timing.low:.2f}, {timing.high:.2f}]"


def _aligned(lines: Sequence[Sequence[str]], words: set[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column in words else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
