"""plan, scene by scene: what starts when, what a failure leads to, and how it all ends."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ticketsmith.experiment.contract import RoundResult, Timing
from ticketsmith.experiment.decision import Decision, Observed, Prices, Stop
from ticketsmith.experiment.status import Condition

CONTINUE = [{"metric": "accuracy", "maxDrop": 0.02, "onFail": "continue"}]
STOP = [{"metric": "accuracy", "maxDrop": 0.02, "onFail": "stop"}]
FAIL = [{"metric": "accuracy", "maxDrop": 0.02, "onFail": "fail"}]


def started(decision: Decision) -> list[str]:
    return [start.round.name for start in decision.start]


def told(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


def condition(lab: Any, kind: str) -> Condition:
    return next(c for c in lab.status.conditions if c.type == kind)


# --- from the first round to the last ------------------------------------------------------------
def test_the_whole_story(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(controls=["reinit", "random"], benchmark={"batchSizes": [1]})
    assert started(lab.tick()) == ["dense-s0"]
    assert lab.status.phase == "Running"
    assert started(lab.done("dense-s0")) == ["ticket-s0-l01"]
    assert started(lab.done("ticket-s0-l01")) == ["reinit-s0-l01", "random-s0-l01", "ticket-s0-l02"]
    assert started(lab.done("ticket-s0-l02")) == ["reinit-s0-l02", "random-s0-l02"]
    for name in ("reinit-s0-l01", "random-s0-l01", "reinit-s0-l02"):
        assert started(lab.done(name)) == []
    assert started(lab.done("random-s0-l02")) == ["benchmark"]
    assert lab.status.progress == "7/9"
    assert started(lab.done("benchmark")) == ["report"]
    last = lab.done("report")
    assert started(last) == []
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "AllRoundsDone")
    assert lab.status.progress == "9/9"
    assert lab.status.best.round == "ticket-s0-l02"
    assert last.events[-1].reason == "Completed"
    assert last.requeue_after is None


def test_a_round_is_told_its_parents_by_key(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(controls=["reinit"], benchmark={"batchSizes": [1]})
    lab.tick()
    lab.finish()
    rounds = {s.round.name: s.round for d in lab.decisions for s in d.start}
    dense, first, second = (rounds[n] for n in ("dense-s0", "ticket-s0-l01", "ticket-s0-l02"))
    assert (dense.pruning, dense.parents.dense, dense.sparsity) == (None, None, 0.0)
    assert (first.parents.dense, first.parents.scored) == (dense.key, dense.key)
    assert (second.parents.dense, second.parents.scored) == (dense.key, first.key)
    assert rounds["reinit-s0-l02"].parents.ticket == second.key
    assert rounds["reinit-s0-l02"].parents.scored is None
    assert rounds["benchmark"].dense == dense.key
    assert rounds["benchmark"].tickets == (first.key, second.key)


def test_one_shot_levels_all_start_from_the_dense_round(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(pruning={"method": "oneShot"})
    lab.tick()
    decision = lab.done("dense-s0")
    assert started(decision) == ["ticket-s0-l01", "ticket-s0-l02"]
    assert {s.round.parents.scored for s in decision.start} == {
        decision.start[0].round.parents.dense
    }


def test_the_report_is_told_how_it_all_ends(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.tick()
    lab.finish()
    report = lab.decisions[-2].start[0].round
    status = report.resource["status"]
    assert (status["phase"], status["reason"]) == ("Succeeded", "AllRoundsDone")
    assert status["best"]["round"] == "ticket-s0-l02"
    assert report.resource["spec"]["benchmark"] is None
    assert all(one["name"] != "report" for one in status["rounds"])


def test_asking_again_changes_nothing(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(controls=["random"])
    first = lab.tick()
    again = lab.tick()
    assert again.status == first.status
    assert (again.start, again.stop, again.events) == ((), (), ())


def test_the_generation_is_told(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    metadata = lab.experiment.metadata.model_copy(update={"generation": 3})
    lab.experiment = lab.experiment.model_copy(update={"metadata": metadata})
    lab.tick()
    assert lab.status.observed_generation == 3
    assert {c.observed_generation for c in lab.status.conditions} == {3}


# --- gates ---------------------------------------------------------------------------------------
def test_a_failed_gate_ends_its_seed_s_branch_and_keeps_the_last_ticket(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(
        seeds=[0, 1], gates=STOP, sparsities={"targets": [0.5, 0.8, 0.9]}, controls=["random"]
    )
    lab.tick()
    accuracy = {"ticket-s0-l02": 0.90}
    lab.finish(lambda name: accuracy.get(name, 0.98))
    names = {s.round.name for d in lab.decisions for s in d.start}
    assert "ticket-s0-l03" not in names
    assert "random-s0-l02" not in names
    assert "ticket-s1-l03" in names
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "GateStopped")
    assert lab.status.best.round == "ticket-s0-l01"
    assert (lab.status.best.seeds_passed, lab.status.best.seeds) == (2, 2)
    assert "GateFailed" in [r for d in lab.decisions for r in told(d)]
    settled, planned = lab.status.progress.split("/")
    assert settled == planned == "12"


def test_continue_goes_on_past_a_failed_gate(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(gates=CONTINUE)
    lab.tick()
    lab.finish(lambda name: 0.5 if name == "ticket-s0-l01" else 0.98)
    assert lab.rounds["ticket-s0-l01"].gate == "failed"
    assert not lab.rounds["ticket-s0-l01"].ends_branch
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "AllRoundsDone")
    assert lab.status.best.round == "ticket-s0-l02"


def test_no_ticket_passed(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(gates=STOP)
    lab.tick()
    lab.finish(lambda name: 0.5 if "ticket" in name else 0.98)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "NoTicketPassed")
    assert lab.status.best is None
    assert "report" in lab.rounds


def test_on_fail_fail_ends_everything_at_once(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seeds=[0, 1], gates=FAIL)
    lab.tick()
    lab.done("dense-s0")
    lab.done("dense-s1")
    decision = lab.done("ticket-s0-l01", accuracy=0.9)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "GateFailed")
    assert decision.stop == (Stop("ticket-s1-l01", 1, "Ended"),)
    assert lab.rounds["ticket-s1-l01"].state == "Stopped"
    assert "0.9" in lab.status.message
    assert "ticket-s0-l01" in lab.status.message


def test_a_control_is_judged_but_never_stops_anything(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(gates=FAIL, controls=["random"])
    lab.tick()
    lab.finish(lambda name: 0.1 if "random" in name else 0.98)
    assert lab.rounds["random-s0-l01"].gate == "failed"
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "AllRoundsDone")


def test_without_gates_every_ticket_counts_and_no_verdict_is_shown(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(gates=[])
    lab.tick()
    lab.finish(lambda name: 0.3 if "ticket" in name else 0.98)
    assert lab.rounds["ticket-s0-l02"].gate is None
    assert lab.status.best.round == "ticket-s0-l02"


def test_gates_are_judged_on_validation_and_best_is_told_on_test(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(gates=STOP)
    lab.tick()
    lab.done("dense-s0", metrics={"accuracy": 0.99, "valAccuracy": 0.97})
    lab.done("ticket-s0-l01", metrics={"accuracy": 0.90, "valAccuracy": 0.96})
    assert lab.rounds["ticket-s0-l01"].gate == "passed"
    assert lab.status.best.metric == 0.90
    assert lab.status.best.drop == pytest.approx(0.09)


# --- attempts ------------------------------------------------------------------------------------
def test_a_failure_is_retried_until_the_retries_are_used_up(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(limits={"retries": 2})
    lab.tick()
    for attempt in (2, 3):
        decision = lab.failed("dense-s0")
        assert [(s.round.name, s.attempt) for s in decision.start] == [("dense-s0", attempt)]
        assert "RoundRetried" in told(decision)
    decision = lab.failed("dense-s0", words="disk gone\nfull story: no space")
    assert decision.start == ()
    assert (lab.status.phase, lab.status.reason) == ("Failed", "RoundFailed")
    assert (
        "dense-s0 failed after 3 attempts: exit code 1: full story: no space" in lab.status.message
    )
    assert lab.rounds["dense-s0"].failures == 3


@pytest.mark.parametrize("exit_code", [2, 3, 4])
def test_final_exit_codes_are_not_retried(make_lab: Callable[..., Any], exit_code: int) -> None:
    lab = make_lab(seeds=[0, 1])
    lab.tick()
    decision = lab.failed("dense-s0", exit_code)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "RoundFailed")
    assert f"exit code {exit_code}" in lab.status.message
    assert decision.stop == (Stop("dense-s1", 1, "Ended"),)


def test_a_lost_process_without_exit_code_is_retried(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.tick()
    lab.running.clear()
    decision = lab.tick(Observed("dense-s0", 1, "failed", message="Pod was lost"))
    assert [s.attempt for s in decision.start] == [2]


def test_interruptions_do_not_count_as_failures(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(limits={"retries": 0})
    lab.tick()
    for attempt in range(2, 8):
        assert [s.attempt for s in lab.interrupted("dense-s0").start] == [attempt]
    assert lab.rounds["dense-s0"].failures == 0
    lab.finish()
    assert lab.status.phase == "Succeeded"


@pytest.mark.parametrize("arm", ["reinit", "random"])
def test_a_control_that_diverges_is_an_answer(make_lab: Callable[..., Any], arm: str) -> None:
    lab = make_lab(controls=[arm])
    lab.tick()
    lab.done("dense-s0")
    lab.done("ticket-s0-l01")
    lab.failed(f"{arm}-s0-l01", 3, "loss is not finite at step 7")
    assert lab.status.phase == "Running"
    assert lab.rounds[f"{arm}-s0-l01"].state == "Failed"
    lab.finish()
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "AllRoundsDone")


@pytest.mark.parametrize("exit_code", [2, 4])
def test_a_control_that_fails_otherwise_fails_the_experiment(
    make_lab: Callable[..., Any], exit_code: int
) -> None:
    lab = make_lab(controls=["reinit"])
    lab.tick()
    lab.done("dense-s0")
    lab.done("ticket-s0-l01")
    lab.failed("reinit-s0-l01", exit_code)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "RoundFailed")
    assert lab.status.best.round == "ticket-s0-l01"


@pytest.mark.parametrize("name", ["benchmark", "report"])
def test_a_failed_benchmark_or_report_fails_the_experiment(
    make_lab: Callable[..., Any], name: str
) -> None:
    lab = make_lab(benchmark={"batchSizes": [1]})
    lab.tick()
    while name not in lab.running:
        lab.done(next(iter(lab.running)))
    lab.failed(name, 2)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "RoundFailed")
    assert lab.status.best.round == "ticket-s0-l02"


def test_an_answer_of_another_round_is_not_believed(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.tick()
    lab.running.clear()
    foreign = RoundResult(key="0" * 16, arm="dense", metrics={"accuracy": 1.0})
    decision = lab.tick(Observed("dense-s0", 1, "done", answer=foreign))
    assert [s.attempt for s in decision.start] == [2]
    assert lab.rounds["dense-s0"].failures == 1


def test_old_news_changes_nothing(
    make_lab: Callable[..., Any], make_result: Callable[..., Any]
) -> None:
    lab = make_lab()
    first = lab.tick().start[0]
    lab.interrupted("dense-s0")
    before = lab.status
    stale = [
        Observed("dense-s0", 1, "running", lab.now),
        Observed("dense-s0", 1, "failed", exit_code=2),
        Observed("dense-s0", 1, "interrupted"),
        Observed("dense-s0", 3, "failed", exit_code=2),
        Observed("ticket-s0-l02", 1, "failed", exit_code=2),
        Observed("unheard-of", 1, "failed", exit_code=2),
    ]
    decision = lab.tick(*stale)
    assert decision.status == before
    assert (decision.start, decision.stop, decision.events) == ((), (), ())
    lab.done("dense-s0")
    settled = lab.status
    repeat = Observed("dense-s0", 2, "done", answer=make_result(first, accuracy=0.1))
    assert lab.tick(repeat, Observed("dense-s0", 2, "failed", exit_code=2)).status == settled


def test_an_earlier_attempt_that_turns_up_goes_before_the_next_one_starts(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab()
    lab.tick()
    lab.tick(Observed("dense-s0", 1, "interrupted"))  # taken for gone, and started again
    earlier = Observed("dense-s0", 1, "running", lab.now)
    seen = lab.tick(earlier, Observed("dense-s0", 2, "interrupted"))
    assert seen.stop == (Stop("dense-s0", 1, "Ended"),)
    assert seen.start == ()
    gone = lab.tick(Observed("dense-s0", 1, "interrupted"))
    assert [(one.round.name, one.attempt) for one in gone.start] == [("dense-s0", 3)]


# --- limits --------------------------------------------------------------------------------------
def test_parallelism_holds_and_may_change_while_it_runs(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seeds=[0, 1, 2, 3, 4], capacity=2)
    assert started(lab.tick()) == ["dense-s0", "dense-s1"]
    lab.change(limits={"parallelism": 4})
    assert started(lab.tick()) == ["dense-s2", "dense-s3"]
    lab.change(limits={"parallelism": 1})
    decision = lab.tick()
    assert (decision.start, decision.stop) == ((), ())
    for name in ("dense-s0", "dense-s1", "dense-s2"):
        assert started(lab.done(name)) == []
    assert started(lab.done("dense-s3")) == ["dense-s4"]


def test_a_round_that_runs_too_long_is_stopped_and_counted(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(limits={"roundDeadlineSeconds": 60, "retries": 1})
    lab.tick()
    assert lab.sees("dense-s0", after=500).requeue_after == 60
    assert lab.tick(after=59).requeue_after == 1
    decision = lab.tick(after=1)
    assert decision.stop == (Stop("dense-s0", 1, "RoundDeadlineExceeded"),)
    assert decision.start == ()
    assert decision.requeue_after == 1.0
    held = lab.tick(Observed("dense-s0", 1, "running", lab.now - 60), after=1)
    assert held.stop == (Stop("dense-s0", 1, "Ended"),)
    assert held.start == ()
    assert [s.attempt for s in lab.tick(Observed("dense-s0", 1, "interrupted")).start] == [2]
    lab.sees("dense-s0")
    lab.tick(after=60)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "RoundFailed")
    assert "roundDeadlineSeconds (60)" in lab.status.message
    assert lab.status.usage.duration_seconds == 120


def test_the_deadline_counts_from_the_first_round_s_start_and_not_while_suspended(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(limits={"deadlineSeconds": 100})
    assert lab.tick().requeue_after is None
    assert lab.tick(after=1000).status.phase == "Running"
    assert lab.sees("dense-s0").requeue_after == 100
    lab.change(suspend=True)
    assert lab.tick(after=40).stop == (Stop("dense-s0", 1, "Suspended"),)
    assert lab.tick(after=10_000).requeue_after is None
    lab.change(suspend=False)
    assert lab.tick().requeue_after == 60
    lab.sees("dense-s0", after=20)
    decision = lab.tick(after=40)
    assert (lab.status.phase, lab.status.reason) == ("Failed", "DeadlineExceeded")
    assert decision.stop == (Stop("dense-s0", 2, "DeadlineExceeded"),)
    assert lab.status.active_seconds == 100


def test_an_experiment_that_ends_at_its_deadline_has_succeeded(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(limits={"deadlineSeconds": 40})
    lab.tick()
    for name in ("dense-s0", "ticket-s0-l01", "ticket-s0-l02"):
        lab.sees(name)
        lab.done(name)
    lab.sees("report")
    assert lab.done("report").status.reason == "AllRoundsDone"


def test_suspend_and_resume(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seeds=[0, 1])
    lab.tick()
    lab.sees("dense-s0")
    lab.sees("dense-s1")
    lab.change(suspend=True)
    decision = lab.tick(after=5)
    assert {(s.name, s.reason) for s in decision.stop} == {
        ("dense-s0", "Suspended"),
        ("dense-s1", "Suspended"),
    }
    assert lab.status.phase == "Suspended"
    assert {one.state for one in lab.status.rounds} == {"Waiting"}
    assert told(decision) == ["Suspended"]
    assert told(lab.tick(after=5)) == []
    lab.change(suspend=False)
    decision = lab.tick(after=5)
    assert [s.attempt for s in decision.start] == [2, 2]
    assert told(decision)[0] == "Resumed"
    assert lab.status.usage.duration_seconds == 10
    assert lab.rounds["dense-s0"].failures == 0


def test_a_result_that_came_just_before_the_stop_counts(
    make_lab: Callable[..., Any], make_result: Callable[..., Any]
) -> None:
    lab = make_lab()
    start = lab.tick().start[0]
    lab.change(suspend=True)
    lab.tick()
    lab.tick(Observed("dense-s0", 1, "done", answer=make_result(start)))
    assert lab.rounds["dense-s0"].state == "Done"
    lab.change(suspend=False)
    assert started(lab.tick()) == ["ticket-s0-l01"]


# --- budget --------------------------------------------------------------------------------------
def test_a_round_that_is_predicted_not_to_fit_is_not_started(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    # 3.6 an hour is 0.001 a second: each round takes 10 s, so 0.025 pays for dense and one ticket.
    lab = make_lab(prices=priced(), limits={"maxCost": "0.025"})
    lab.tick()
    lab.done("dense-s0")
    decision = lab.done("ticket-s0-l01")
    assert started(decision) == ["report"]
    assert "BudgetReached" in told(decision)
    assert lab.status.reason == "BudgetReached"
    lab.change(limits={"maxCost": "100"})
    assert lab.tick().start == ()  # the door to training is closed
    lab.done("report")
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "BudgetReached")
    assert lab.status.best.round == "ticket-s0-l01"
    assert lab.status.usage.cost == Decimal("0.03")
    assert lab.status.usage.currency == "USD"
    assert [r for d in lab.decisions for r in told(d)].count("BudgetReached") == 1


def test_running_rounds_are_reserved_for(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(), seeds=[0, 1], limits={"maxCost": "0.025"}, capacity=1)
    lab.tick()
    lab.done("dense-s0")
    lab.capacity = 10
    # 0.010 is spent and dense-s1 will probably take as much: a ticket does not fit beside it.
    assert started(lab.tick()) == []
    assert lab.status.reason == "RoundsRunning"
    assert started(lab.done("dense-s1", after=4)) == ["ticket-s0-l01"]


def test_rounds_started_together_are_reserved_for_too(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(), seeds=[0, 1], limits={"maxCost": "0.035"})
    lab.tick()
    lab.done("dense-s0")
    assert started(lab.done("dense-s1")) == []
    lab.done("ticket-s0-l01")


def test_a_budget_that_is_raised_in_time_lets_it_go_on(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(), limits={"maxCost": "0.02"}, seeds=[0, 1], capacity=1)
    lab.tick()
    lab.done("dense-s0")
    lab.change(limits={"maxCost": "1"})
    lab.finish()
    assert lab.status.reason == "AllRoundsDone"


def test_nothing_won_within_the_budget_is_a_failure(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(), limits={"maxCost": "0.01"})
    lab.tick()
    assert started(lab.done("dense-s0")) == ["report"]
    lab.done("report")
    assert (lab.status.phase, lab.status.reason) == ("Failed", "BudgetReached")


def test_a_budget_of_nothing_starts_nothing(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(), limits={"maxCost": "0"})
    assert lab.tick().start == ()
    assert (lab.status.phase, lab.status.reason) == ("Failed", "BudgetReached")


def test_the_benchmark_too_must_fit(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(), limits={"maxCost": "0.035"}, benchmark={"batchSizes": [1]})
    lab.tick()
    lab.done("dense-s0")
    lab.done("ticket-s0-l01")
    assert started(lab.done("ticket-s0-l02")) == ["report"]
    lab.done("report")
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "BudgetReached")
    assert lab.status.progress == "4/4"


def test_gpu_hours_are_admitted_the_same_way(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(gpus=2), limits={"maxGpuHours": "0.0125"})  # 45 GPU-seconds
    lab.tick()
    lab.done("dense-s0")
    assert started(lab.done("ticket-s0-l01")) == ["report"]
    assert lab.status.usage.gpu_seconds == 40


def test_failed_and_interrupted_attempts_are_charged(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(gpus=1))
    lab.tick()
    lab.failed("dense-s0", after=7)
    lab.interrupted("dense-s0", after=5)
    lab.done("dense-s0", after=3)
    one = lab.rounds["dense-s0"]
    assert (one.attempts, one.failures, one.duration_seconds, one.gpu_seconds) == (3, 1, 15, 15)
    assert one.cost == lab.status.usage.cost == Decimal("0.015")


def test_a_round_that_lost_its_place_is_charged_for_it_and_waits_for_another(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    lab = make_lab(prices=priced(gpus=1))
    lab.tick()
    lab.sees("dense-s0")
    lab.tick(Observed("dense-s0", 1, "queued", None, lab.now + 20), after=20)
    waiting = lab.rounds["dense-s0"]
    assert (waiting.state, waiting.attempts, waiting.started_at) == ("Running", 1, None)
    assert waiting.gpu_seconds == 20
    lab.tick(Observed("dense-s0", 1, "queued", None, lab.now), after=500)
    assert lab.rounds["dense-s0"] == waiting
    lab.sees("dense-s0")
    lab.done("dense-s0", after=10)
    assert lab.rounds["dense-s0"].gpu_seconds == lab.status.usage.gpu_seconds == 30


def test_what_was_spent_is_told_to_people_only_where_a_price_is_known(
    make_lab: Callable[..., Any], priced: Callable[..., Prices]
) -> None:
    unpriced, lab = make_lab(), make_lab(prices=priced(gpus=1))
    for one in (unpriced, lab):
        one.tick()
        one.done("dense-s0", after=1)
    assert unpriced.status.usage.spent is None
    assert lab.status.usage.spent == "<0.01 USD"
    lab.done("ticket-s0-l01", after=1999)
    assert lab.status.usage.spent == "2.00 USD"


@pytest.mark.parametrize("limits", [{"maxCost": "5"}, {"maxGpuHours": "5"}])
def test_a_limit_without_effect_is_told_once(
    make_lab: Callable[..., Any], limits: dict[str, Any]
) -> None:
    lab = make_lab(limits=limits)
    field = next(iter(limits))
    decision = lab.tick()
    assert [e.kind for e in decision.events if e.reason == "LimitHasNoEffect"] == ["Warning"]
    assert field in condition(lab, "Accepted").message
    lab.finish()
    assert [r for d in lab.decisions for r in told(d)].count("LimitHasNoEffect") == 1


# --- the end -------------------------------------------------------------------------------------
def test_terminal_stays_terminal(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.tick()
    lab.failed("dense-s0", 2)
    ended = lab.status
    lab.change(limits={"retries": 50}, suspend=True)
    decision = lab.tick(Observed("dense-s0", 1, "running", lab.now), after=1000)
    assert decision.status == ended
    assert decision.stop == (Stop("dense-s0", 1, "Ended"),)
    assert (decision.start, decision.events, decision.requeue_after) == ((), (), None)


def test_an_ending_tells_that_a_later_change_was_seen_and_changes_nothing_else(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab()
    lab.tick()
    lab.finish()
    ended = lab.status
    metadata = lab.experiment.metadata.model_copy(update={"generation": 7})
    lab.experiment = lab.experiment.model_copy(update={"metadata": metadata})
    lab.tick()
    assert lab.status.observed_generation == 7
    assert {one.observed_generation for one in lab.status.conditions} == {7}
    plain = {"observed_generation", "conditions"}
    assert lab.status.model_dump(exclude=plain) == ended.model_dump(exclude=plain)


def test_a_refused_spec_that_was_mended_is_looked_at_anew(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(gates=[{"metric": "accuracy", "maxDrop": 2}])
    metadata = lab.experiment.metadata.model_copy(update={"generation": 1})
    lab.experiment = lab.experiment.model_copy(update={"metadata": metadata})
    lab.tick()
    assert lab.status.reason == "InvalidSpec"
    metadata = metadata.model_copy(update={"generation": 2})
    lab.experiment = lab.experiment.model_copy(update={"metadata": metadata})
    lab.change(gates=[{"metric": "accuracy", "maxDrop": 0.02}])
    assert started(lab.tick()) == ["dense-s0"]
    assert (lab.status.phase, condition(lab, "Accepted").status) == ("Running", "True")


def test_a_contradictory_spec_starts_nothing(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(pruning={"rewind": "30ep"})
    decision = lab.tick()
    assert decision.start == ()
    assert (lab.status.phase, lab.status.reason) == ("Failed", "InvalidSpec")
    assert "spec.pruning.rewind is 30ep" in lab.status.message
    assert condition(lab, "Accepted").status == "False"
    assert lab.tick().status == decision.status


def test_conditions_keep_their_transition_time_while_their_status_stays(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab()
    lab.tick()
    first = condition(lab, "Progressing")
    lab.done("dense-s0", after=100)
    second = condition(lab, "Progressing")
    assert second.status == first.status == "True"
    assert second.last_transition_time == first.last_transition_time == "2025-06-15T15:06:40Z"
    lab.finish()
    assert condition(lab, "Progressing").status == "False"
    assert condition(lab, "Progressing").last_transition_time > first.last_transition_time
    assert condition(lab, "Complete").status == "True"


def test_the_measured_speedup_stays_with_the_best(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(benchmark={"batchSizes": [32, 1]})
    lab.tick()
    while "benchmark" not in lab.running:
        lab.done(next(iter(lab.running)))
    key = lab.status.best.artifact
    timings = tuple(
        Timing(
            round=key, batch_size=size, path="dense", p50_ms=1, p95_ms=1,
            speedup=ratio, low=ratio - 0.1, high=ratio + 0.1,
        )
        for size, ratio in [(1, 1.4), (32, 3.0)]
    )  # fmt: skip
    lab.done("benchmark", timings=timings)
    assert lab.status.best.speedup == 1.4
    lab.done("report")
    assert lab.status.best.speedup == 1.4
    throughput = {"samplesPerSecond1": 1_000.0, "samplesPerSecond32": 32_000.0}
    assert lab.rounds["benchmark"].metrics == throughput


def test_metrics_that_are_no_numbers_fail_the_gate_and_stay_out_of_the_status(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(gates=STOP)
    lab.tick()
    lab.done("dense-s0")
    start, began = lab.running.pop("ticket-s0-l01")
    broken = RoundResult.model_construct(
        key=start.round.key, arm="ticket", remaining=1, prunable=2, timings=(),
        metrics={"valAccuracy": float("nan"), "accuracy": 0.9},
    )  # fmt: skip
    lab.tick(Observed("ticket-s0-l01", 1, "done", began, lab.now, broken))
    assert lab.rounds["ticket-s0-l01"].gate == "failed"
    assert lab.rounds["ticket-s0-l01"].metrics == {"accuracy": 0.9}
