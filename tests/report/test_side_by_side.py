"""Comparisons: only like with like, paired where it can be, and nothing made up in between."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ticketsmith.experiment.levels import Level, levels
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith.experiment.status import RoundStatus
from ticketsmith.report.runs import load_run, status_only
from ticketsmith.report.side_by_side.asked import asked
from ticketsmith.report.side_by_side.document import document, table
from ticketsmith.report.side_by_side.matching import difference, matches
from ticketsmith.report.side_by_side.sides import side
from ticketsmith.report.side_by_side.view import View, html, view
from ticketsmith.report.side_by_side.words import gain
from ticketsmith.report.stats import estimate, unpaired
from ticketsmith.report.words import MINUS, MISSING, TIMES

MakeRun = Callable[..., Path]


def compared(*paths: Path, measure: Any = "accuracy") -> View:
    named = [(str(path), load_run(path, path.name.partition("_")[0])) for path in paths]
    return view(named, measure)


def cells(shown: View, title: str, row: str) -> list[str]:
    [found] = [one for one in shown.tables if title in one.title]
    [line] = [one for one in found.rows if one[0] == row]
    return list(line[1:])


def said(sentences: Iterable[str], words: str) -> list[str]:
    return [one for one in sentences if words in one]


# --- levels --------------------------------------------------------------------------------------
def one(arm: str, seed: int, level: int, sparsity: float, **metrics: float) -> RoundStatus:
    name = f"{arm}-s{seed}-l{level:02d}"
    return RoundStatus(
        name=name,
        arm=arm,
        seed=seed,
        level=level,
        state="Done",
        sparsity=sparsity,
        metrics=metrics,
        key=f"{seed:08x}{level:08x}",
    )


def test_a_level_holds_its_seeds_and_each_seeds_drop() -> None:
    rounds = [
        one("dense", 0, 0, 0.0, loss=0.25),
        one("dense", 1, 0, 0.0, loss=0.5),
        one("ticket", 0, 1, 0.5, loss=0.375),
        one("ticket", 2, 1, 0.5, loss=1.0),  # its dense round is not known
        one("random", 0, 1, 0.5, loss=9.0),
        one("ticket", 0, 2, 0.8, accuracy=0.9),
    ]
    dense, ticket = levels(rounds, "loss")
    assert (dense.level, dense.quality, dense.drop) == (0, {0: 0.25, 1: 0.5}, {})
    assert (ticket.sparsity, ticket.quality) == (0.5, {0: 0.375, 2: 1.0})
    assert ticket.drop == {0: 0.125}  # of a loss, a rise


# --- matching ------------------------------------------------------------------------------------
def test_levels_match_where_their_measured_sparsities_agree_and_nowhere_else(
    make_run: MakeRun,
) -> None:
    shown = compared(
        make_run(name="short", levels=3, best_level=2), make_run(name="long", levels=5)
    )
    assert [match.is_shared for match in shown.matches] == [True] * 4 + [False] * 2
    fifth = shown.matches[5]
    assert (fifth.levels[0], fifth.levels[1] and fifth.levels[1].level) == (None, 5)
    [alone] = said(shown.cautions, "Not measured by any other")
    assert alone.startswith("Not measured by any other: long at ")
    assert "Nothing is interpolated" in alone
    short, long, apart = cells(shown, "matching", f"{100 * fifth.sparsity:.1f}%")
    assert (short, apart) == (MISSING, MISSING)
    assert "3 seeds" in long


def test_two_levels_of_one_experiment_never_share_a_line(make_run: MakeRun) -> None:
    near = side(load_run(make_run(levels=30, best_level=3)), "near", "accuracy")
    found = matches([near, near])
    assert [match.levels[0] for match in found] == list(near.levels)


# --- differences ---------------------------------------------------------------------------------
def level_of(**quality: float) -> Level:
    by_seed = {int(seed[1:]): value for seed, value in quality.items()}
    return Level(1, 0.5, by_seed, {}, frozenset())


def test_differences_are_paired_over_the_seeds_that_both_have(make_run: MakeRun) -> None:
    of = side(load_run(make_run()), "a", "accuracy")
    apart = difference(level_of(s0=0.5, s1=0.9), level_of(s0=0.6, s1=1.0, s2=0.1), of)
    assert apart.paired
    assert (apart.estimate.n, apart.estimate.mean) == (2, pytest.approx(0.1))
    assert apart.estimate.half_width == pytest.approx(0.0, abs=1e-12)


def test_without_a_common_seed_the_interval_is_of_two_independent_means(make_run: MakeRun) -> None:
    of = side(load_run(make_run()), "a", "accuracy")
    apart = difference(level_of(s0=0.5, s1=0.9), level_of(s2=0.6, s3=1.0), of)
    assert not apart.paired
    assert apart.estimate.mean == pytest.approx(0.1)
    # Equal spreads and counts: 2 degrees of freedom, t = 4.3027, standard error sqrt(0.04 + 0.04).
    assert apart.estimate.half_width == pytest.approx(4.302652729911275 * math.sqrt(0.08))


def test_welch_takes_each_spread_for_itself() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0]
    # The second does not scatter: what is left is the first's own interval.
    alone = estimate(first).half_width
    assert unpaired(first, second).half_width == pytest.approx(alone)
    assert unpaired(second, second).half_width == 0.0
    assert unpaired([1.0], second).half_width is None


def test_a_lower_loss_is_a_gain(make_run: MakeRun) -> None:
    of = side(load_run(make_run()), "a", "loss")
    apart = difference(level_of(s0=0.5), level_of(s0=0.25), of)
    assert gain(apart.estimate, "loss") == "+0.2500"
    assert (
        gain(estimate([-0.0123, -0.0123]), "accuracy") == f"{MINUS}1.23 [{MINUS}1.23, {MINUS}1.23]"
    )


def test_one_seed_is_too_few_to_tell_apart(make_run: MakeRun) -> None:
    shown = compared(make_run(name="a", seeds=[0]), make_run(name="b", seeds=[0]))
    assert said(shown.findings, "cannot be told from a's with so few seeds")
    assert len(said(shown.cautions, "One seed only")) == 2


# --- what was asked for --------------------------------------------------------------------------
def test_only_fields_that_differ_are_shown_those_that_decide_results_first() -> None:
    base = {"model": {"name": "lenet300"}}
    other = base | {
        "limits": {"parallelism": 2},
        "pruning": {"scope": "layer"},
        "gates": [{"metric": "accuracy", "maxDrop": 0.01}],
    }
    found = asked([ExperimentSpec.model_validate(spec) for spec in (base, other)])
    assert [(one.field, one.decides) for one in found] == [
        ("spec.pruning.scope", True),
        ("spec.gates", True),
        ("spec.limits.parallelism", False),
    ]
    assert found[0].values == ("global", "layer")
    assert found[2].values == ("null", "2")


# --- like for like -------------------------------------------------------------------------------
def test_equal_experiments_raise_no_caution_of_their_comparison(make_run: MakeRun) -> None:
    a, b = make_run(name="a", scatter=0), make_run(name="b", scatter=0)
    assert compared(a, b).cautions == ()
    assert compared(a, b).tables[0].note == "Nothing: the specs are the same."
    assert cells(compared(a, b), "matching", "dense")[2].startswith("0.00 [0.00, 0.00]")


def test_other_data_are_not_subtracted(make_run: MakeRun) -> None:
    shown = compared(make_run(name="a"), make_run(name="b", dataset="digits"))
    assert said(shown.cautions, "The data differ (a: mnist; b: digits)")
    [qualities] = [one for one in shown.tables if "matching" in one.title]
    assert qualities.head == ("Sparsity", "a", "b")
    assert said(shown.findings, "deepest") == []
    assert document(shown)["levels"][1]["experiments"][1]["gain"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "lenet5"}, "The networks differ (a: lenet300; b: lenet5)"),
        ({"dense": 0.95}, f"The dense baselines differ: b's is {MINUS}3.07 ["),
        ({"seeds": (7, 8, 9)}, "a and b share no seed"),
        ({"seeds": (1, 2, 3)}, "a and b share 2 seeds"),
        ({"phase": "Running"}, "b: The experiment is not finished"),
    ],
)
def test_what_is_not_like_for_like_is_said(
    make_run: MakeRun, changes: dict[str, Any], words: str
) -> None:
    shown = compared(make_run(name="a"), make_run(name="b", **changes))
    assert len(said(shown.cautions, words)) == 1, shown.cautions


def test_other_machines_versions_and_batches_are_said(make_run: MakeRun) -> None:
    paths = [make_run(name="a"), make_run(name="b")]
    store = paths[0].parent / "store"
    other = load_run(paths[1])
    for known in other.rounds:
        if known.environment and known.status.key:
            file = store / known.status.key / "environment.json"
            file.write_text(
                file.read_text().replace('"torch":"2.9.0","platform"', '"torch":"2.8.0","platform"')
            )
        if known.status.arm == "benchmark" and known.status.key:
            file = store / known.status.key / "benchmark.json"
            text = file.read_text().replace("Example CPU", "Another CPU")
            file.write_text(text.replace('"batchSize":1,', '"batchSize":2,'))
    shown = compared(*paths)
    assert said(shown.cautions, "PyTorch differs (a: 2.9.0; b: 2.8.0)")
    assert said(shown.cautions, "Speed was measured on different machines (a: cpu, Example CPU")
    assert said(shown.cautions, "The smallest batch timed differs (a: 1; b: 2)")


def test_without_a_store_the_status_is_read_and_that_is_said(make_run: MakeRun) -> None:
    a, b = make_run(name="a", levels=3), make_run(name="b", levels=3)
    bare = status_only(load_run(b).experiment, "b", "the bucket is not readable")
    shown = view([("a", load_run(a, "a")), ("b", bare)], "accuracy")
    assert said(shown.cautions, "b: Read from its status alone, so machine, versions and timings")
    whole = compared(a, b)
    # What the status keeps of qualities is all that they take.
    assert cells(shown, "matching", "dense")[:2] == cells(whole, "matching", "dense")[:2]
    assert cells(shown, "Best tickets", "Timed on")[1] == MISSING
    assert cells(shown, "Best tickets", "Speed")[1] == MISSING


def test_a_speedup_is_told_with_its_batch_and_machine_or_not_at_all(make_run: MakeRun) -> None:
    shown = compared(
        make_run(name="quick", ratio=(1.5, 1.4, 1.6)),
        make_run(name="same"),
        make_run(name="no", timed=False),
    )
    assert cells(shown, "Best tickets", "Speed") == [
        f"1.50{TIMES} [1.40, 1.60] faster\nat batch 1",
        f"no speedup:\n1.01{TIMES} [0.98, 1.04]\nat batch 1",
        "not measured",
    ]
    assert len(said(shown.findings, "speedup here")) == 2


# --- as a whole ----------------------------------------------------------------------------------
def test_too_few_and_too_many_are_refused(make_run: MakeRun) -> None:
    run = load_run(make_run())
    for count in (1, 13):
        with pytest.raises(BadSpec, match=f"2 to 12 experiments, and {count} are named"):
            view([(str(n), run) for n in range(count)], "accuracy")


def test_programs_get_numbers(make_run: MakeRun) -> None:
    shown = compared(make_run(name="a"), make_run(name="b", levels=6))
    told = document(shown)
    second = told["levels"][2]["experiments"][1]
    assert second["level"] == 2
    assert set(second["quality"]["bySeed"]) == {"0", "1", "2"}
    assert second["gain"]["paired"] is True
    assert told["levels"][6]["experiments"][0] is None
    head, *lines = table(shown).splitlines()
    assert head.startswith("sparsity,experiment,reference,metric,seeds,mean,low,high,drop,")
    assert len(lines) == 6 + 7


def test_the_page_is_one_file_whose_text_is_escaped(make_run: MakeRun) -> None:
    shown = compared(make_run(name="a"), make_run(name="b", model="<b>evil</b>"))
    page = html(shown)
    assert "<b>evil</b>" not in page
    assert "&lt;b&gt;evil" in page
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert page == html(shown)
