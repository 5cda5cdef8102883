from collections.abc import Callable
from pathlib import Path

import pytest

from ticketsmith.experiment.contract import Timing
from ticketsmith.experiment.spec import GateSpec
from ticketsmith.report.findings import on_best_path, rows
from ticketsmith.report.known import known_level, known_levels
from ticketsmith.report.runs import load_run
from ticketsmith.report.telling import (
    Verdict,
    gate_rule,
    gates_in_words,
    reading,
    speed_in_words,
    verdict,
    warnings,
)
from ticketsmith.report.words import TIMES

Make = Callable[..., Path]


def told(path: Path) -> tuple[Verdict, str, str]:
    """Verdict, warnings and reading of a run."""
    run = load_run(path)
    table = rows(run)
    return verdict(run, table), "\n".join(warnings(run, table)), "\n".join(reading(run, table))


def test_the_verdict_is_one_sentence_from_measured_numbers(make_run: Make) -> None:
    found, cautions, _ = told(make_run())
    assert found == Verdict(
        "Up to 61.1% of the weights can be removed within the 2-point gate (3 of 3 seeds); "
        f"speedup here: none (1.01{TIMES} [0.98, 1.04] at batch 1, path dense).",
        "found",
    )
    assert cautions == ""


def test_a_speedup_is_told_where_it_was_measured(make_run: Make) -> None:
    found, _, means = told(make_run(ratio=(1.4, 1.3, 1.5)))
    assert f"speedup here: 1.40{TIMES} [1.30, 1.50] at batch 1" in found.sentence
    assert "8 of 8 timings lie above 1" in means


def test_a_slowdown_is_no_speedup(make_run: Make) -> None:
    found, _, _ = told(make_run(ratio=(0.9, 0.85, 0.95)))
    assert "speedup here: none, it is slower" in found.sentence


def test_of_several_paths_the_best_is_told_where_it_does_least() -> None:
    def timing(path: str, batch: int, speedup: float) -> Timing:
        return Timing(
            round="0" * 16,
            batch_size=batch,
            path=path,
            p50_ms=1,
            p95_ms=1,
            speedup=speedup,
            low=speedup - 0.01,
            high=speedup + 0.01,
        )

    both = [timing("dense", 1, 1.0), timing("compacted", 1, 1.1), timing("compacted", 32, 1.7)]
    assert on_best_path(both) == both[1:]
    assert on_best_path([]) == []
    assert speed_in_words(both) == (
        f"speedup here: 1.10{TIMES} [1.09, 1.11] at batch 1, path compacted, the best of 2 paths, "
        "the least of 2 timed"
    )
    assert speed_in_words(both[:2]) == (
        f"speedup here: 1.10{TIMES} [1.09, 1.11] at batch 1, path compacted, the best of 2 paths"
    )


def test_without_a_benchmark_nothing_is_claimed(make_run: Make) -> None:
    found, _, means = told(make_run(timed=False))
    assert "speedup here: not measured" in found.sentence
    assert "No speed was measured" in means


def test_no_level_passed(make_run: Make) -> None:
    found, _, _ = told(make_run(best_level=None, timed=False))
    assert found.tone == "none"
    assert "No level passed the 2-point gate" in found.sentence


def test_an_unfinished_run_says_so(make_run: Make) -> None:
    found, cautions, _ = told(make_run(phase="Running", best_level=2))
    assert found.tone == "unfinished"
    assert found.sentence.startswith("So far, with ")
    assert "not finished (Running" in cautions


def test_failed_rounds_are_named(make_run: Make) -> None:
    _, cautions, _ = told(make_run(skip=frozenset({"ticket-s1-l03"})))
    assert "1 round failed and left no figures: ticket-s1-l03." in cautions


def test_an_undertrained_baseline_is_flagged(make_run: Make) -> None:
    _, cautions, _ = told(make_run(dense=0.94))
    assert "Undertrained baseline" in cautions
    assert "98.1%" not in told(make_run(name="other", dense=0.965))[1]


def test_one_seed_is_told_and_concludes_nothing(make_run: Make) -> None:
    _, cautions, means = told(make_run(seeds=(0,)))
    assert "One seed only" in cautions
    assert means.count("inconclusive, since one seed gives no interval") == 2


def test_controls_that_differ_and_those_that_do_not(make_run: Make) -> None:
    _, _, means = told(make_run())
    assert "re-initialised networks at 69.3% sparsity: the tickets do better" in means
    _, _, means = told(make_run(name="scattered", levels=1, scatter=0.03))
    assert "inconclusive, since the 95% interval of the difference includes 0" in means


def test_a_disturbed_timing_is_flagged(make_run: Make) -> None:
    _, cautions, _ = told(make_run(null=(1.05, 1.02, 1.08)))
    assert "The timing was disturbed" in cautions


def test_bytes_are_those_measured(make_run: Make) -> None:
    _, _, means = told(make_run())
    assert "1.07 MB as plain safetensors and 449.2 kB in the sparse format" in means


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ((), "no gate"),
        ((GateSpec(metric="accuracy", max_drop=0.005),), "the 0.5-point gate"),
        ((GateSpec(metric="loss", max_drop=0.1),), "the loss gate"),
        (
            (GateSpec(metric="loss", max_drop=0.1), GateSpec(metric="accuracy", worst=0.9)),
            "all gates",
        ),
    ],
)
def test_gates_in_words(gates: tuple[GateSpec, ...], words: str) -> None:
    assert gates_in_words(gates) == words


def test_a_rule_in_full() -> None:
    rule = gate_rule(GateSpec(metric="accuracy", max_drop=0.02, worst=0.9))
    assert "at most 2 points" in rule
    assert "at least 90.0%" in rule


def test_known_levels_name_their_source_and_are_found_however_spelled() -> None:
    assert all(known.source and 0.5 < known.accuracy < 1 for known in known_levels())
    known = known_level("LeNet-300", "MNIST")
    assert known is not None
    assert known.accuracy == 0.9805
    assert known_level("lenet300", "digits") is None
