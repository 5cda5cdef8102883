from collections.abc import Callable
from pathlib import Path

import pytest

from ticketsmith.report.findings import compare, curve, null_controls, rows, timings
from ticketsmith.report.runs import load_run

Make = Callable[..., Path]


def test_rows_come_arm_by_arm_and_level_by_level(make_run: Make) -> None:
    table = rows(load_run(make_run(levels=2)))
    assert [(row.arm, row.level) for row in table] == [
        ("dense", 0),
        ("ticket", 1),
        ("ticket", 2),
        ("reinit", 1),
        ("reinit", 2),
        ("random", 1),
        ("random", 2),
    ]
    assert all(len(row.rounds) == 3 for row in table)


def test_a_row_holds_what_its_rounds_measured(make_run: Make) -> None:
    run = load_run(make_run())
    table = {(row.arm, row.level): row for row in rows(run)}
    dense, ticket = table["dense", 0], table["ticket", 3]
    by_name = {known.status.name: known.result for known in run.rounds}
    expected = [by_name[f"ticket-s{seed}-l03"] for seed in (0, 1, 2)]
    assert all(expected)
    measured = [result.metrics["accuracy"] for result in expected if result]
    assert ticket.accuracies == dict(zip((0, 1, 2), measured, strict=True))
    assert ticket.drop is not None
    drops = [dense.accuracies[seed] - measured[seed] for seed in (0, 1, 2)]
    assert ticket.drop.mean == pytest.approx(sum(drops) / 3)
    assert ticket.remaining == expected[0].remaining if expected[0] else False
    assert 0.4 < ticket.sparsity < 0.6
    assert dense.drop is None
    assert ticket.stopping is not None


def test_gates_of_controls_are_judged_by_the_same_rule(make_run: Make) -> None:
    table = {(row.arm, row.level): row for row in rows(load_run(make_run(best_level=2)))}
    assert table["dense", 0].verdicts == ()
    assert table["ticket", 2].verdicts == (True, True, True)
    assert table["ticket", 3].verdicts == (False, False, False)  # the driver's word counts
    assert table["reinit", 1].verdicts == (True, True, True)
    assert table["random", 5].verdicts == (False, False, False)


def test_timings_belong_to_their_level_at_the_smallest_batch(make_run: Make) -> None:
    run = load_run(make_run())
    table = {(row.arm, row.level): row for row in rows(run)}
    assert [t.batch_size for t in table["ticket", 4].timings] == [1]
    assert table["ticket", 5].timings == ()
    assert len(timings(run)) == 8
    assert [t.low for t in null_controls(run)] == [0.985, 0.985]
    assert table["ticket", 4].sparse_bytes is not None
    assert table["reinit", 4].sparse_bytes is None


def test_controls_are_compared_at_the_deepest_common_level(make_run: Make) -> None:
    skip = frozenset(f"reinit-s{seed}-l05" for seed in (0, 1, 2)) | {"reinit-s1-l04"}
    table = rows(load_run(make_run(skip=skip)))
    found = compare(table, "reinit")
    assert found is not None
    assert (found.level, found.difference.n) == (4, 2)
    assert found.difference.mean == pytest.approx(16 * (0.0035 - 0.0004), abs=0.002)
    assert compare(table, "shuffled") is None


def test_curves_average_steps_that_all_seeds_measured(make_run: Make) -> None:
    path = make_run()
    run = load_run(path)
    row = next(row for row in rows(run) if row.arm == "dense")
    found = curve(row, lambda evaluation: evaluation.val_loss)
    assert found is not None
    assert found.iterations == tuple(range(0, 5001, 250))
    assert {value.n for value in found.values} == {3}


def test_missing_rounds_leave_the_others(make_run: Make) -> None:
    table = rows(load_run(make_run(skip=frozenset({"ticket-s1-l03"}))))
    third = next(row for row in table if (row.arm, row.level) == ("ticket", 3))
    assert sorted(third.accuracies) == [0, 2]
