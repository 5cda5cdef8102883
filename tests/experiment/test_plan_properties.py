"""plan in random worlds: attempts fail, vanish and hang, news is late or twice told, people change their minds."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticketsmith.experiment.contract import ExitCode, RoundError, RoundResult
from ticketsmith.experiment.decision import Decision, Observed, Prices, Start, World
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.experiment.steps import steps

BEGIN = 1_750_000_000.123
PATIENCE = 3000
"""Calls of plan after which an experiment that has not ended is taken to hang."""
CALM = 300
"""Calls after which the world stops failing, so that only the plan itself can keep it from ending."""
THERE = {"queued", "running"}
SLACK = 1e-3
"""Seconds and money: the status keeps milliseconds and millionths."""


@dataclass
class Attempt:
    """A process, as it really is."""

    start: Start
    begins: float
    ends: float
    outcome: str
    exit_code: int
    stopped: bool = False
    """Told to stop; it lingers until it ends."""


@dataclass
class Chaos:
    """How unkind the world is: chances from 0 to 1."""

    failing: float
    interrupting: float
    hanging: float
    forgetting: float
    repeating: float
    meddling: float
    evicting: float


@dataclass
class Simulation:
    """Drives plan, carries out what it decides, and checks every decision against its own books."""

    experiment: PruningExperiment
    prices: Prices
    chaos: Chaos
    random: Random
    result: Callable[..., RoundResult]
    now: float = BEGIN
    status: Status | None = None
    alive: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    begun: set[tuple[str, int]] = field(default_factory=set)
    news: list[Observed] = field(default_factory=list)
    """All that was ever observed, to be told again."""
    seen_start: dict[tuple[str, int], float] = field(default_factory=dict)
    """When each attempt that has a place was seen to begin there."""
    begin_of_all: float = math.inf
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds charged per round."""
    charged: set[tuple[str, int]] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    active: float = 0.0
    """Seconds that the deadline's clock should have run."""
    held: bool = False
    """Whether the clock has ever stood still since it began."""
    calls: int = 0

    # --- the world -------------------------------------------------------------------------------
    def run(self) -> Status:
        requeue: float | None = 0.0
        while self.status is None or self.status.phase not in {"Succeeded", "Failed"}:
            self.calls += 1
            assert self.calls < PATIENCE, f"it does not end: {self.status}"
            self._pass_time(requeue)
            self._meddle()
            decision = self._ask(self._look())
            requeue = decision.requeue_after
        return self.status

    def _pass_time(self, requeue: float | None) -> None:
        """On to the next thing that happens, or to some moment before it."""
        moments = [a.begins for a in self.alive.values()] + [a.ends for a in self.alive.values()]
        coming = [moment for moment in moments if moment > self.now]
        if requeue is not None:
            coming.append(self.now + requeue)
        if not coming:
            coming.append(self.now + 1.0)
        step = min(coming) - self.now
        if self.random.random() < 0.2:
            step *= self.random.random()
        if self.begin_of_all < math.inf and self.status and self.status.phase != "Suspended":
            self.active += step
        self.now += step

    def _meddle(self) -> None:
        """A person suspends, resumes, or changes the parallelism."""
        suspended = self.experiment.spec.suspend
        if self.calls > CALM:
            if suspended:
                self._change(suspend=False)
        elif self.random.random() < (0.5 if suspended else self.chaos.meddling):
            self._change(suspend=not suspended)
        if self.calls < CALM and self.random.random() < self.chaos.meddling:
            limits = self.experiment.spec.limits
            wanted = self.random.choice([None, 1, 2, 5])
            self._change(limits=limits.model_copy(update={"parallelism": wanted}))

    def _change(self, **changes: Any) -> None:
        spec = self.experiment.spec.model_copy(update=changes)
        self.experiment = self.experiment.model_copy(update={"spec": spec})

    def _look(self) -> list[Observed]:
        """What the driver sees: endings are never missed for good, all else may be, and old news comes again."""
        fresh = []
        for (name, number), attempt in list(self.alive.items()):
            began = attempt.begins if attempt.begins <= self.now else None
            if attempt.ends <= self.now:
                if self.calls < CALM and self.random.random() < self.chaos.forgetting:
                    continue
                del self.alive[name, number]
                fresh.append(self._ended(attempt, began))
            elif began is not None and self._is_evicted(attempt):
                fresh.append(Observed(name, number, "queued", None, self.now))
            elif self.random.random() >= self.chaos.forgetting:
                fresh.append(Observed(name, number, "running" if began else "queued", began))
        old = [seen for seen in self.news if seen.state not in THERE]
        again = []
        if old and self.random.random() < self.chaos.repeating:
            again = self.random.choices(old, k=self.random.randint(1, 3))
        self.news += fresh
        told = fresh + again
        self.random.shuffle(told)
        return told

    def _is_evicted(self, attempt: Attempt) -> bool:
        """Whether it loses its place just now; it will find another, and begin there."""
        if attempt.stopped or self.calls > CALM or self.random.random() >= self.chaos.evicting:
            return False
        length = attempt.ends - attempt.begins
        attempt.begins = self.now + self.random.uniform(0.1, 20)
        attempt.ends = attempt.begins + length
        return True

    def _ended(self, attempt: Attempt, began: float | None) -> Observed:
        name, number = attempt.start.round.name, attempt.start.attempt
        ended = max(attempt.ends, attempt.begins)
        if attempt.stopped or attempt.outcome == "interrupted":
            return Observed(name, number, "interrupted", began, ended)
        if attempt.outcome == "failed":
            answer = RoundError(exit_code=attempt.exit_code, message="boom")
            return Observed(name, number, "failed", began, ended, answer, attempt.exit_code)
        quality = self.random.choice([0.5, 0.95, 0.97, 0.98, 0.99])
        done = self.result(attempt.start, accuracy=quality)
        return Observed(name, number, "done", began, ended, done, 0)

    def _begin(self, start: Start) -> Attempt:
        calm = self.calls > CALM
        outcome, code, length = "done", 0, self.random.uniform(1, 30)
        chance = self.random.random()
        if not calm and chance < self.chaos.failing:
            outcome, code = "failed", self.random.choice([1, 1, 1, 1, 137, 3, 2, 4])
        elif not calm and chance < self.chaos.failing + self.chaos.interrupting:
            outcome = "interrupted"
        elif (
            not calm and chance < self.chaos.failing + self.chaos.interrupting + self.chaos.hanging
        ):
            length = 1000.0
        begins = self.now + self.random.choice([0.0, 0.0, self.random.uniform(0, 20)])
        return Attempt(start, begins, begins + length, outcome, code)

    # --- the plan, and what must hold of it ------------------------------------------------------
    def _ask(self, observed: list[Observed]) -> Decision:
        world = World(
            now=self.now, runner_version="1", machine="lab", capacity=3, prices=self.prices
        )
        before = self.status
        current = self.experiment.model_copy(update={"status": before})
        decision = plan(current, observed, world)
        self._check_replay(decision, before, observed, world)
        self._keep_books(observed, decision, before)
        self._check_limits(decision, before)
        for stop in decision.stop:
            attempt = self.alive.get((stop.name, stop.attempt))
            if attempt is not None and not attempt.stopped:
                attempt.stopped = True
                attempt.ends = min(attempt.ends, self.now + self.random.choice([0.0, 3.0]))
        still_there = {seen.name for seen in observed if seen.state in THERE}
        still_there |= {stop.name for stop in decision.stop}
        for start in decision.start:
            assert start.round.name not in still_there, "one attempt ends before the next starts"
            self._check_start(start, decision.status)
            self.alive[start.round.name, start.attempt] = self._begin(start)
        self.status = Status.model_validate_json(decision.status.model_dump_json(by_alias=True))
        assert self.status == decision.status
        return decision

    def _check_replay(
        self, decision: Decision, before: Status | None, observed: list[Observed], world: World
    ) -> None:
        """The same from the same input, also where the status was stored as JSON in between."""
        stored = None
        if before is not None:
            stored = Status.model_validate_json(before.model_dump_json(by_alias=True))
        current = self.experiment.model_copy(update={"status": stored})
        assert plan(current, observed, world) == decision
        # Asked again at once, with no news, it has nothing to add.
        after = self.experiment.model_copy(update={"status": decision.status})
        again = plan(after, (), world)
        if not decision.stop and not any(o.state in THERE for o in observed):
            assert (again.start, again.stop, again.events) == ((), (), ())
            assert again.status == decision.status

    def _keep_books(
        self, observed: list[Observed], decision: Decision, before: Status | None
    ) -> None:
        """Note starts seen and seconds to be charged, from what was observed alone."""
        known = rounds_of(before)
        for seen in observed:
            at = (seen.name, seen.attempt)
            one = known.get(seen.name)
            if one is None or one.attempts != seen.attempt or at in self.charged:
                continue
            if seen.started_at is not None and one.state == "Running":
                self.seen_start.setdefault(at, seen.started_at)
                self.begin_of_all = min(self.begin_of_all, seen.started_at)
            if seen.state == "queued" and one.state == "Running" and at in self.seen_start:
                self.spent[seen.name] += self.now - self.seen_start.pop(at)
            if seen.state not in THERE and one.state == "Running":
                self.charged.add(at)
                if seen.started_at is not None:
                    self.spent[seen.name] += seen.finished_at - self.seen_start[at]
                self.failures[seen.name] += seen.state == "failed"
        for stop in decision.stop:
            at = (stop.name, stop.attempt)
            if at not in self.charged:
                self.charged.add(at)
                if at in self.seen_start:
                    self.spent[stop.name] += self.now - self.seen_start[at]
                self.failures[stop.name] += stop.reason == "RoundDeadlineExceeded"
        if self.begin_of_all < math.inf and not self.held:
            self.active = self.now - self.begin_of_all
            self.held = decision.status.phase == "Suspended"
        assert decision.status.usage.duration_seconds == pytest.approx(
            sum(self.spent.values()), abs=0.01
        )

    def _check_limits(self, decision: Decision, before: Status | None) -> None:
        spec, status = self.experiment.spec, decision.status
        rounds = rounds_of(status)
        running = [one for one in rounds.values() if one.state == "Running"]
        if decision.start:
            assert not spec.suspend
            assert len(running) <= (spec.limits.parallelism or 3)
            self._check_budget(decision, rounds)
        for name, count in self.failures.items():
            assert count <= spec.limits.retries + 1
            assert rounds[name].failures == count
        if status.phase in {"Succeeded", "Failed"}:
            assert not running
            assert decision.requeue_after is None
        elif spec.suspend:
            assert status.phase == "Suspended"
            assert not running
        elif spec.limits.deadline_seconds is not None and self.begin_of_all < math.inf:
            assert self.active < spec.limits.deadline_seconds + SLACK
            assert decision.requeue_after is not None
            left = spec.limits.deadline_seconds - self.active
            assert decision.requeue_after <= left + SLACK
        if status.reason == "DeadlineExceeded":
            assert self.active > (spec.limits.deadline_seconds or 0) - SLACK
            assert status.active_seconds == pytest.approx(self.active, abs=SLACK)
        for one in running:
            attempt = self.alive.get((one.name, one.attempts))
            began = self.seen_start.get((one.name, one.attempts))
            if attempt and began and spec.limits.round_deadline_seconds:
                assert self.now - began < spec.limits.round_deadline_seconds + SLACK

    def _check_budget(self, decision: Decision, rounds: dict[str, RoundStatus]) -> None:
        """At the moment of starting: what is spent, plus what all running rounds will probably cost, fits."""
        most = self.experiment.spec.limits.max_cost
        if most is None or self.prices.hourly is None:
            return
        done: dict[str, list[float]] = defaultdict(list)
        for one in rounds.values():
            if one.state == "Done":
                done[one.arm].append(self.spent[one.name])
        training = [t for arm, times in done.items() if arm != "benchmark" for t in times]

        def likely(arm: str) -> float:
            like = done.get(arm) or training
            return sum(like) / len(like) if like else 0.0

        running = {one.arm: 0 for one in rounds.values()}
        for one in rounds.values():
            running[one.arm] += one.state == "Running"
        if any(start.round.kind == "report" for start in decision.start):
            return
        seconds = sum(self.spent.values()) + sum(n * likely(arm) for arm, n in running.items())
        assert float(self.prices.hourly) * seconds / 3600 <= float(most) + SLACK

    def _check_start(self, start: Start, status: Status) -> None:
        name, number = start.round.name, start.attempt
        assert (name, number) not in self.begun, "an attempt is started once"
        assert number == 1 or (name, number - 1) in self.begun, "attempts are counted"
        self.begun.add((name, number))
        rounds = rounds_of(status)
        step = next(s for s in steps(self.experiment.spec) if s.name == name)
        assert rounds[name].key == start.round.key
        if step.trains:
            for parent in step.parents:
                assert rounds[parent].state == "Done"
            if step.parents:
                assert not rounds[step.parents[-1]].ends_branch
        else:
            busy = [r.name for r in rounds.values() if r.state == "Running" and r.name != name]
            assert busy == [], "benchmark and report run alone"


def rounds_of(status: Status | None) -> dict[str, RoundStatus]:
    """By name; these experiments are small enough to be shown in detail."""
    return {} if status is None else {one.name: one for one in status.rounds}


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


specs = st.fixed_dictionaries(
    {
        "seeds": st.sampled_from([[0], [0, 1], [3, 1, 2]]),
        "sparsities": st.sampled_from(
            [{"targets": [0.5]}, {"rate": 0.2, "levels": 3}, {"final": 0.9, "levels": 2}]
        ),
        "controls": st.sampled_from([[], ["reinit"], ["random", "reinit"]]),
        "pruning": st.sampled_from([{}, {"method": "oneShot"}]),
        "gates": st.lists(
            st.fixed_dictionaries(
                {
                    "metric": st.just("accuracy"),
                    "maxDrop": st.sampled_from([0.0, 0.02, 0.6]),
                    "onFail": st.sampled_from(["stop", "stop", "continue", "fail"]),
                }
            ),
            max_size=2,
        ),
        "benchmark": st.sampled_from([None, {"batchSizes": [1]}]),
        "limits": st.fixed_dictionaries(
            {
                "retries": st.sampled_from([0, 1, 3, 20]),
                "deadlineSeconds": maybe(st.integers(20, 600)),
                "roundDeadlineSeconds": maybe(st.integers(20, 60)),
                "maxCost": maybe(st.sampled_from(["0", "0.05", "0.2", "5"])),
                "parallelism": maybe(st.integers(1, 8)),
            }
        ),
    }
)
small = st.sampled_from([0.0, 0.05, 0.2])
worlds = st.builds(Chaos, *(small,) * 7)
prices = st.sampled_from([Prices(), Prices(Decimal("3.6"), "USD", 1)])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=specs, chaos=worlds, price=prices, random=st.randoms(use_true_random=True))
def test_every_history_ends_well_behaved(
    make_experiment: Callable[..., PruningExperiment],
    make_result: Callable[..., RoundResult],
    spec: dict[str, Any],
    chaos: Chaos,
    price: Prices,
    random: Random,
) -> None:
    simulation = Simulation(make_experiment(**spec), price, chaos, random, make_result)
    final = simulation.run()
    _check_ending(simulation, final)
    _check_terminal_is_terminal(simulation, final)


def _check_ending(simulation: Simulation, final: Status) -> None:
    rounds = rounds_of(final)
    limits = simulation.experiment.spec.limits
    settled, planned = map(int, str(final.progress).split("/"))
    failed = [one for one in rounds.values() if one.state == "Failed"]
    tickets = [
        one for one in rounds.values()
        if one.arm == "ticket" and one.state == "Done" and one.gate != "failed"
    ]  # fmt: skip
    assert (final.best is not None) == bool(tickets)
    if final.best is not None:
        assert final.best.round in {one.name for one in tickets}
        assert final.pareto
    match final.reason:
        case "AllRoundsDone" | "GateStopped":
            assert final.phase == "Succeeded"
            assert settled == planned
            assert final.best is not None
            assert all(one.state in {"Done", "Failed"} for one in rounds.values())
        case "NoTicketPassed":
            assert (final.phase, final.best) == ("Failed", None)
            assert settled == planned
        case "BudgetReached":
            assert limits.max_cost is not None
            assert final.phase == ("Succeeded" if final.best else "Failed")
        case "DeadlineExceeded":
            assert (final.phase, limits.deadline_seconds is None) == ("Failed", False)
        case "RoundFailed":
            assert final.phase == "Failed"
            assert any(one.name in str(final.message) for one in failed)
        case "GateFailed":
            assert any(g.on_fail == "fail" for g in simulation.experiment.spec.gates)
        case other:
            pytest.fail(f"unheard-of ending {other}")
    for one in failed:
        final_codes = tuple(f"exit code {code}:" for code in range(256) if ExitCode.is_final(code))
        gave_up = str(one.message).startswith(final_codes)
        assert gave_up or one.failures == limits.retries + 1, "every retry is used"
    if final.reason not in {"RoundFailed", "GateFailed"}:
        assert all(one.arm in {"reinit", "random"} for one in failed)
        assert all(f"exit code {ExitCode.BROKEN_NUMBERS}" in str(one.message) for one in failed)


def _check_terminal_is_terminal(simulation: Simulation, final: Status) -> None:
    simulation._change(suspend=False, limits=type(simulation.experiment.spec.limits)(retries=100))
    ghosts = [
        Observed(start.round.name, start.attempt, "running", simulation.now)
        for start in (attempt.start for attempt in simulation.alive.values())
    ]
    for observed in ([], simulation.news, ghosts):
        simulation.now += 1e6
        world = World(simulation.now, "2", "elsewhere", 9)
        current = simulation.experiment.model_copy(update={"status": final})
        decision = plan(current, observed, world)
        assert decision.status == final
        assert (decision.start, decision.events, decision.requeue_after) == ((), (), None)
        running = [(o.name, o.attempt) for o in observed if o.state in THERE]
        assert [(s.name, s.attempt) for s in decision.stop] == running
