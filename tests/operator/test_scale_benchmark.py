"""The benchmark's arithmetic, and that it works; its timings are nobody's promise here."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "cluster")]

from operator_scale.figures import (  # noqa: E402
    Played,
    gaps,
    grown,
    percentile,
    quantile,
    read_counters,
    total,
)
from operator_scale.player import steady, uniform  # noqa: E402
from tools.build import NotBuilt, binary  # noqa: E402

PAGE = """\
# HELP writes_total What was written.
# TYPE writes_total counter
writes_total{verb="create",resource="jobs"} 4.0
writes_total{verb="create",resource="events"} 1
writes_total{verb="update",resource="jobs"} 2
gap_seconds_bucket{le="0.02"} 60
gap_seconds_bucket{le="0.05"} 99
gap_seconds_bucket{le="+Inf"} 100
queue_depth 3
"""


def test_a_gap_lies_between_an_answer_and_the_next_job_of_the_same_chain() -> None:
    played = [
        Played("b", met=1.0, answered=5.0),
        Played("a", met=1.0, answered=2.0),
        Played("a", met=2.25, answered=3.0),
        Played("b", met=5.5),
        Played("a", met=2.99),
    ]
    # The last Job of `a` was met before the answer that made room for it was looked at.
    assert sorted(gaps(played)) == [0.0, 0.25, 0.5]
    assert gaps(played, since=4.0) == [0.5]


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 201)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 100, 198, 200]
    assert percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))


def test_counters_are_read_by_name_and_label() -> None:
    found = read_counters(PAGE)
    assert total(found, "writes_total", "verb") == {("create",): 5.0, ("update",): 2.0}
    assert found["queue_depth", ()] == 3.0
    assert total(grown(found, found), "writes_total", "verb") == {}


def test_a_quantile_of_a_histogram_is_its_bucket_s_bound() -> None:
    found = read_counters(PAGE)
    bounds = [quantile(found, "gap_seconds", share) for share in (0.5, 0.99, 1.0)]
    assert bounds == [0.02, 0.05, math.inf]
    assert math.isnan(quantile({}, "gap_seconds", 0.5))


def test_times_are_drawn_from_the_seed_alone() -> None:
    pace, again, other = uniform(5, 15, 1), uniform(5, 15, 1), uniform(5, 15, 2)
    drawn = [pace("chain-7", n) for n in range(50)]
    assert (
        drawn
        == [again("chain-7", n) for n in range(50)]
        != [other("chain-7", n) for n in range(50)]
    )
    assert all(5 <= seconds <= 15 for seconds in drawn)


def test_rounds_end_evenly_from_the_start() -> None:
    pace = steady(20, 60, 1)
    firsts = [pace(f"chain-{n}", 0) for n in range(4000)]
    # A round of 40 s on average: a quarter of those in flight end within 10 s.
    assert sum(first < 10 for first in firsts) == pytest.approx(1000, abs=100)


@pytest.mark.slow
@pytest.mark.cluster
def test_the_benchmark_works_and_a_round_costs_at_most_three_writes(tmp_path: Path) -> None:
    try:
        binary("kube-apiserver")
    except NotBuilt as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))
    script, output = ROOT / "benchmarks" / "operator_scale.py", tmp_path / "out"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--output", output], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.with_suffix(".json").read_text())
    runs = [run for kind in ("timed", "saturated") for run in result["operator"][kind]]
    for run in runs:
        assert run["rounds"] == 50
        assert run["writesPerRound"] <= 3
        assert run["writesPerRoundSeenByServer"] == run["writesPerRound"]
        assert run["reconcileErrors"] == 0
    assert "bare loop" in output.with_suffix(".md").read_text()
