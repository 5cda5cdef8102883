"""The loop of the local driver: look, plan, write the status, then start and stop processes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from ticketsmith import __version__
from ticketsmith.experiment.decision import Decision, Observed, Prices, Start, World
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import steps
from ticketsmith.experiment.view import View
from ticketsmith.local.attempt import Attempt, Execute
from ticketsmith.local.continuation import left_behind
from ticketsmith.local.interrupt import Interrupt
from ticketsmith.local.machine import Machine
from ticketsmith.local.rundir import RunDirectory

_RESTING = ("Succeeded", "Failed", "Suspended")


@dataclass
class Driver:
    """Carries out one experiment on this machine. `drive` returns when it ended or was stopped."""

    run: RunDirectory
    """Locked by the caller."""
    store: str
    """Address of the artifact store."""
    machine: Machine
    prices: Prices
    view: View
    execute: Execute
    decide: Callable[[PruningExperiment, Sequence[Observed], World], Decision] = plan
    interrupt: Interrupt = field(default_factory=Interrupt)
    now: Callable[[], float] = time.time
    """Unix time in seconds."""
    _attempts: dict[str, Attempt] = field(default_factory=dict, init=False)
    _heeded: int = field(default=0, init=False)
    """Signals acted on so far."""

    def drive(self, experiment: PruningExperiment) -> PruningExperiment:
        """Take the experiment from its status to an ending, or, once a signal came, to a standstill from which the
        next call goes on. The status is on disk before anything it speaks of is started."""
        observed = left_behind(experiment.status, self._last_signs(experiment.status))
        try:
            while True:
                decision = self.decide(self._wanted(experiment), observed, self._world())
                experiment = experiment.model_copy(update={"status": decision.status})
                self._tell(experiment, decision)
                observed = self._carry_out(decision, experiment)
                if not self._attempts and decision.status.phase in _RESTING:
                    return experiment
                if not observed:  # what was just started is told at once: its clock runs from now
                    observed = self._wait(decision.requeue_after)
        finally:
            for attempt in self._attempts.values():
                attempt.kill()

    def _wanted(self, experiment: PruningExperiment) -> PruningExperiment:
        """A run that is told to stop is a suspended one: checkpoints are kept and its clock stands still."""
        if not self.interrupt.received:
            return experiment
        return experiment.model_copy(
            update={"spec": experiment.spec.model_copy(update={"suspend": True})}
        )

    def _world(self) -> World:
        return World(
            now=self.now(),
            runner_version=__version__,
            machine=self.machine.words,
            capacity=self.machine.capacity,
            prices=self.prices,
        )

    def _tell(self, experiment: PruningExperiment, decision: Decision) -> None:
        self.run.write(experiment)
        self.view.decided(decision.status)
        for event in decision.events:
            self.run.append_event(event, self.now())
            self.view.happened(event)

    def _carry_out(self, decision: Decision, experiment: PruningExperiment) -> list[Observed]:
        for stop in decision.stop:
            if stop.name in self._attempts:
                self._attempts[stop.name].stop(self.now())
        return [self._begin(start, experiment).running() for start in decision.start]

    def _begin(self, start: Start, experiment: PruningExperiment) -> Attempt:
        parallelism = experiment.spec.limits.parallelism or self.machine.capacity
        attempt = Attempt(
            start=start,
            execute=self.execute,
            store=self.store,
            # The benchmark runs alone and is given the machine as a deployment would have it.
            threads=self.machine.threads(1 if start.round.kind == "benchmark" else parallelism),
            log=self.run.log(start.round.name, start.attempt).absolute(),
            now=self.now(),
        )
        self._attempts[start.round.name] = attempt
        step = next(s for s in steps(experiment.spec) if s.name == start.round.name)
        self.view.started(step, start.attempt)
        return attempt

    def _wait(self, requeue_after: float | None) -> list[Observed]:
        """Sleep until an attempt ends, a signal comes, or `requeue_after` seconds are over."""
        until = None if requeue_after is None else self.now() + requeue_after
        if until is None and not self._attempts:
            raise RuntimeError("the plan waits for nothing, though the experiment has not ended")
        while True:
            if ended := self._look():
                return ended
            moments = [until, *(attempt.kill_at for attempt in self._attempts.values())]
            ahead = [moment - self.now() for moment in moments if moment is not None]
            signs = [sign for attempt in self._attempts.values() for sign in attempt.signs]
            wait([*signs, self.interrupt.sign], max(0.0, min(ahead)) if ahead else None)
            if self._heed_signals() or (until is not None and until <= self.now()):
                return self._look()
            for attempt in self._attempts.values():
                if attempt.kill_at is not None and attempt.kill_at <= self.now():
                    attempt.kill()

    def _look(self) -> list[Observed]:
        """Pass on what running rounds told; the attempts that ended."""
        ended = []
        for name, attempt in list(self._attempts.items()):
            told, end = attempt.look(self.now())
            for progress in told:
                self.view.progressed(progress)
            if end is not None:
                del self._attempts[name]
                self.view.ended(end)
                ended.append(end)
        return ended

    def _heed_signals(self) -> bool:
        """Whether a signal came since the last time. The first lets rounds keep a checkpoint, the next kills."""
        self.interrupt.clear()
        received = self.interrupt.received
        if len(received) == self._heeded:
            return False
        if self._heeded:
            for attempt in self._attempts.values():
                attempt.kill()
        else:
            self.view.stopping(received[0].name)
        self._heeded = len(received)
        return True

    def _last_signs(self, status: Status | None) -> dict[str, float]:
        """When each round that was left running last wrote to its log."""
        logs = {r.name: self.run.log(r.name, r.attempts) for r in (status.rounds if status else ())}
        return {name: log.stat().st_mtime for name, log in logs.items() if log.exists()}
