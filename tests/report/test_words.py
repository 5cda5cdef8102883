import pytest

from ticketsmith.experiment.contract import Timing
from ticketsmith.report import words
from ticketsmith.report.stats import Estimate


def timing(speedup: float, low: float, high: float) -> Timing:
    return Timing(
        round="0" * 16,
        batch_size=1,
        path="dense",
        p50_ms=1,
        p95_ms=2,
        speedup=speedup,
        low=low,
        high=high,
    )


def test_numbers_are_written_for_people() -> None:
    assert words.percent(0.7379) == "73.8%"
    assert words.signed(-0.001) == "0.00"
    assert words.signed(-1.5) == "\N{MINUS SIGN}1.50"
    assert words.points(Estimate(0.002, 3, 0.004)) == "0.20 [\N{MINUS SIGN}0.20, 0.60]"
    assert words.accuracy(Estimate(0.9812, 1)) == "98.12%"
    assert [words.size(n) for n in (512, 1500, 15_000, 2.5e6, 3e9)] == [
        "512 B",
        "1.50 kB",
        "15.0 kB",
        "2.50 MB",
        "3.00 GB",
    ]
    assert [words.duration(s) for s in (8.26, 59.99, 250, 7500)] == [
        "8.3 s",
        "60.0 s",
        "4 min 10 s",
        "2 h 5 min",
    ]
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        ((1.4, 1.3, 1.5), "1.40x [1.30, 1.50] faster"),
        ((1.01, 0.98, 1.04), "no speedup: 1.01x [0.98, 1.04]"),
        ((1.2, 1.0, 1.5), "no speedup: 1.20x [1.00, 1.50]"),
        ((0.9, 0.85, 0.95), "0.90x [0.85, 0.95]: slower"),
    ],
)
def test_a_speedup_needs_the_whole_interval(ratio: tuple[float, float, float], said: str) -> None:
    assert words.verdict(timing(*ratio)) == said.replace("x", words.TIMES)


def test_several_timings_are_told_together() -> None:
    quick, slow = timing(1.4, 1.3, 1.5), timing(1.01, 0.98, 1.04)
    assert words.verdicts([]) == "not measured"
    assert words.verdicts([slow, slow]).startswith("no speedup: 1.01 to 1.01")
    assert words.verdicts([quick, slow]).endswith("faster in 1 of 2")


def test_paths_are_not_mixed() -> None:
    compacted = timing(1.4, 1.3, 1.5).model_copy(update={"path": "compacted"})
    both = [timing(1.01, 0.98, 1.04), compacted]
    assert words.verdicts(both).replace(words.TIMES, "x") == (
        "compacted 1.40x [1.30, 1.50] faster; dense no speedup: 1.01x [0.98, 1.04]"
    )
    assert words.verdicts_in_lines(both).count("\n") == 2
