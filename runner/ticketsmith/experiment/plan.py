"""What happens next: the one decision that both drivers carry out.

`plan` never remembers. All it knows of the past is the status, so the same status, observations and world
always give the same decision, and a driver may be replaced between any two calls.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ticketsmith.experiment import budget, endings
from ticketsmith.experiment.attempts import enforce_round_deadline, observe
from ticketsmith.experiment.book import Book
from ticketsmith.experiment.check import check
from ticketsmith.experiment.decision import Decision, Event, Observed, Stop, World
from ticketsmith.experiment.endings import TERMINAL, Ending
from ticketsmith.experiment.rounds import benchmark_round, report_round, train_round
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.standing import Standing, stand
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import BENCHMARK, REPORT, steps
from ticketsmith.experiment.summary import summarize
from ticketsmith.experiment.survey import Survey

LINGER_SECONDS = 1.0
"""How soon to look again whether a stopped attempt is gone."""
_THERE = {"queued", "running"}
"""States of an attempt that would go on if nobody stopped it."""


def plan(experiment: PruningExperiment, observed: Sequence[Observed], world: World) -> Decision:
    """Decide what to start and stop, the new status, the events to tell and when to ask again.

    `observed` may repeat itself, be late or leave rounds out; an attempt not mentioned is unchanged.
    """
    before = experiment.status
    generation = experiment.metadata.generation
    if before is not None and endings.may_be_mended(before, generation):
        before, experiment = None, experiment.model_copy(update={"status": None})
    if before is not None and before.phase in TERMINAL:
        left = tuple(Stop(o.name, o.attempt, "Ended") for o in observed if o.state in _THERE)
        return Decision((), left, endings.noted(before, world.now, generation), (), None)
    if before is None:
        problem = next(check(experiment.spec), None)
        if problem is not None:
            return _refuse(experiment, problem, world)
    return _Turn(experiment, world).decide(observed)


def _refuse(experiment: PruningExperiment, problem: str, world: World) -> Decision:
    status = endings.invalid_spec(problem, world.now, experiment.metadata.generation)
    return Decision((), (), status, (Event("Warning", "InvalidSpec", problem),), None)


class _Turn:
    """One call of plan."""

    def __init__(self, experiment: PruningExperiment, world: World) -> None:
        self.experiment = experiment
        self.spec = experiment.spec
        self.world = world
        self.before = experiment.status or Status()
        self.book = Book.open(experiment.spec, self.before, world)
        self.steps = steps(experiment.spec)
        self.finishing = BENCHMARK in self.book.rounds or REPORT in self.book.rounds
        """Whether the benchmark or the report had begun before this call."""

    def decide(self, observed: Sequence[Observed]) -> Decision:
        book = self.book
        ending: Ending | None = None
        for seen in observed:
            ended = observe(book, seen)
            ending = ending or ended
        for known in book.running():
            ending = ending or enforce_round_deadline(book, known)
        ending = ending or self._deadline()
        if ending is None and not self.book.is_done(REPORT):
            self._heed_suspend()
        standing = stand(self.book, self.steps)
        if ending is None:
            standing, ending = self._advance(standing)
        self._stop_lingering()
        if ending is not None:
            self._stop_everything(ending)
        status = self._status(standing, ending)
        self._tell_changes(standing, ending)
        return Decision(
            start=tuple(book.starts),
            stop=tuple(book.stops),
            status=status,
            events=tuple(book.events),
            requeue_after=None if ending is not None else self._requeue_after(),
        )

    # --- limits of time and will -----------------------------------------------------------------
    def _deadline(self) -> Ending | None:
        limit = self.spec.limits.deadline_seconds
        if limit is None or self.book.is_done(REPORT) or self.book.active() < limit:
            return None
        return endings.deadline_exceeded(self.spec.limits)

    def _heed_suspend(self) -> None:
        """Stop what runs and the clock, or set the clock going again."""
        book = self.book
        was_suspended = self.before.phase == "Suspended"
        if not self.spec.suspend:
            book.go_on()
            if was_suspended:
                book.tell("Resumed", "Rounds are started again from their last checkpoints")
            return
        for known in book.running():
            book.stops.append(Stop(known.name, known.attempts, "Suspended"))
            book.end_attempt(known.name, book.elapsed(known), state="Waiting")
        book.hold_clock()
        if not was_suspended:
            book.tell(
                "Suspended", "No round starts and the running ones stop until spec.suspend is false"
            )

    def _stop_lingering(self) -> None:
        """Ask once more for attempts that were stopped before and are still there."""
        told = {(stop.name, stop.attempt) for stop in self.book.stops}
        reason: Literal["Suspended", "Ended"] = "Suspended" if self.spec.suspend else "Ended"
        for name, attempt in sorted(self.book.lingering):
            if (name, attempt) not in told:
                self.book.stops.append(Stop(name, attempt, reason))

    def _stop_everything(self, ending: Ending) -> None:
        book = self.book
        reason: Literal["DeadlineExceeded", "Ended"] = (
            "DeadlineExceeded" if ending.reason == "DeadlineExceeded" else "Ended"
        )
        for known in list(book.rounds.values()):
            if known.state == "Running":
                book.stops.append(Stop(known.name, known.attempts, reason))
                book.end_attempt(known.name, book.elapsed(known), state="Stopped")
            elif known.state == "Waiting":
                book.change(known.name, state="Stopped")
        book.hold_clock()

    # --- going on --------------------------------------------------------------------------------
    def _advance(self, standing: Standing) -> tuple[Standing, Ending | None]:
        """Start what may start: training rounds, then the benchmark, then the report. Each door closes behind:
        once the benchmark or the report has begun, a raised budget starts no training any more."""
        training = standing.training
        stuck = not self.finishing and self._start_training(training)
        if not (self.finishing or stuck or training.is_over):
            return standing, None
        standing = replace(standing, training_over=True)
        if self.spec.benchmark is not None and standing.chosen and not self.book.is_done(BENCHMARK):
            if REPORT not in self.book.rounds and self._finish_with_benchmark(standing):
                return standing, None
            standing = replace(standing, benchmark_cut=True)
        ending = endings.settled(
            standing.chosen, standing.tickets, training.never, standing.cut_by_budget
        )
        if self.book.is_done(REPORT) or not training.settled:
            return standing, ending
        if self._may_start(REPORT):
            # The report speaks of the experiment as it will stand once the report itself is done.
            outlook = self._status(standing, ending)
            self.book.start(self.steps[-1], report_round(self.experiment, self.world, outlook))
        return standing, None

    def _start_training(self, training: Survey) -> bool:
        """Start what is ready, fits the budget and finds a place; whether the budget alone stands in the way."""
        book = self.book
        forecast = budget.forecast(book.rounds.values())
        reserved = sum(
            max(forecast.seconds(known.arm), book.elapsed(known)) for known in book.running()
        )
        places = self._places()
        refused: set[str] = set()
        for step in training.ready:
            if places <= 0:
                break
            if book.lingers(step.name) or step.arm in refused:
                continue
            predicted = forecast.seconds(step.arm)
            if not budget.fits(
                self.spec.limits, self.world.prices, book.usage, reserved, predicted
            ):
                refused.add(step.arm)
                continue
            book.start(step, train_round(step, self.experiment, self.world, book.rounds))
            reserved += predicted
            places -= 1
        return bool(refused) and not book.running() and not book.lingering

    def _finish_with_benchmark(self, standing: Standing) -> bool:
        """Start the benchmark where it is due; False if the budget does not admit it."""
        known = self.book.rounds.get(BENCHMARK)
        if known is not None and known.state == "Running":
            return True
        seconds = budget.forecast(self.book.rounds.values()).seconds("benchmark")
        if not budget.fits(self.spec.limits, self.world.prices, self.book.usage, 0.0, seconds):
            return False
        if self._may_start(BENCHMARK) and self.spec.benchmark and standing.chosen:
            round_ = benchmark_round(
                self.experiment,
                self.spec.benchmark,
                self.world,
                self.book.rounds,
                standing.tickets,
                standing.chosen,
            )
            self.book.start(self.steps[-2], round_)
        return True

    def _places(self) -> int:
        """Rounds that may be started now besides those that run."""
        if self.spec.suspend:
            return 0
        most = self.spec.limits.parallelism or self.world.capacity
        return most - len(self.book.running()) - len(self.book.lingering)

    def _may_start(self, name: str) -> bool:
        known = self.book.rounds.get(name)
        idle = known is None or known.state == "Waiting"
        return idle and not self.book.lingers(name) and self._places() > 0

    def _requeue_after(self) -> float | None:
        """Seconds to the nearest deadline, or to the next look at a stopped attempt; None if nothing is due."""
        book, limits = self.book, self.spec.limits
        if self.spec.suspend:
            return None
        due = [LINGER_SECONDS] if book.lingering else []
        if limits.deadline_seconds is not None and book.clock_since is not None:
            due.append(limits.deadline_seconds - book.active())
        if limits.round_deadline_seconds is not None:
            due += [
                limits.round_deadline_seconds - book.elapsed(known)
                for known in book.running()
                if known.started_at is not None
            ]
        return max(0.0, min(due)) if due else None

    # --- telling ---------------------------------------------------------------------------------
    def _status(self, standing: Standing, ending: Ending | None) -> Status:
        generation = self.experiment.metadata.generation
        return summarize(self.book, standing, ending, self.before, generation, len(self.steps))

    def _tell_changes(self, standing: Standing, ending: Ending | None) -> None:
        """What changed beyond single rounds."""
        said = next((c.message for c in self.before.conditions if c.type == "Accepted"), "")
        for warning in budget.ignored_limits(self.spec.limits, self.world.prices):
            if warning not in said:
                self.book.warn("LimitHasNoEffect", warning)
        if standing.cut_by_budget and not self.finishing:
            self.book.tell("BudgetReached", "The budget admits no further round")
        if ending is not None and ending.phase == "Succeeded":
            self.book.tell("Completed", f"{ending.reason}: {ending.message}")
        elif ending is not None:
            self.book.warn("Failed", f"{ending.reason}: {ending.message}")
