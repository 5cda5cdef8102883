"""Builders for experiments and a small world that the plan can be driven through."""

from collections.abc import Callable
from typing import Any

from ticketsmith.experiment.contract import RoundError, RoundResult
from ticketsmith.experiment.decision import Decision, Observed, Prices, Start, World
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status

BEGIN = 1_750_000_000.0
PRUNABLE = 10_000


def experiment(**spec: Any) -> PruningExperiment:
    """Two levels, one seed, no controls and no benchmark, unless told otherwise."""
    document = {
        "model": {"name": "lenet300"},
        "sparsities": {"targets": [0.5, 0.8]},
        "controls": [],
        "seeds": [0],
        "benchmark": None,
        **spec,
    }
    return PruningExperiment.model_validate({"metadata": {"name": "trial"}, "spec": document})


def result(start: Start, accuracy: float = 0.98, loss: float = 0.1, **more: Any) -> RoundResult:
    """What a round that went well answers; validation and test metrics alike unless told otherwise."""
    told = start.round
    if told.kind != "train":
        return RoundResult(key=told.key, arm=told.kind, **more)
    figures = {
        "accuracy": accuracy,
        "loss": loss,
        "valAccuracy": accuracy,
        "valLoss": loss,
        **more.pop("metrics", {}),
    }
    return RoundResult(
        key=told.key,
        arm=told.arm,
        seed=told.seed,
        level=told.level,
        remaining=PRUNABLE - round(told.sparsity * PRUNABLE),
        prunable=PRUNABLE,
        metrics=figures,
        **more,
    )


class Lab:
    """An experiment whose attempts end when the test says so. The status goes through JSON at every call."""

    def __init__(self, capacity: int = 100, prices: Prices | None = None, **spec: Any) -> None:
        self.experiment = experiment(**spec)
        self.now = BEGIN
        self.capacity = capacity
        self.prices = prices or Prices()
        self.status: Status | None = None
        self.running: dict[str, tuple[Start, float]] = {}
        self.decisions: list[Decision] = []

    def change(self, **changes: Any) -> None:
        """Change spec, as a person would while it runs."""
        document = self.experiment.spec.model_dump(mode="json") | changes
        spec = type(self.experiment.spec).model_validate(document)
        self.experiment = self.experiment.model_copy(update={"spec": spec})

    def tick(self, *observed: Observed, after: float = 0.0) -> Decision:
        """Ask the plan, carry out what it says, and remember the status as JSON would."""
        self.now += after
        world = World(
            now=self.now,
            runner_version="1",
            machine="lab",
            capacity=self.capacity,
            prices=self.prices,
        )
        current = self.experiment.model_copy(update={"status": self.status})
        decision = plan(current, observed, world)
        self.status = Status.model_validate_json(decision.status.model_dump_json())
        assert self.status == decision.status
        for stop in decision.stop:
            self.running.pop(stop.name, None)
        for start in decision.start:
            self.running[start.round.name] = (start, self.now)
        self.decisions.append(decision)
        return decision

    def sees(self, name: str, after: float = 0.0) -> Decision:
        """The attempt begins to work."""
        self.now += after
        start, _ = self.running[name]
        self.running[name] = (start, self.now)
        return self.tick(Observed(name, start.attempt, "running", self.now))

    def done(self, name: str, after: float = 10.0, **figures: Any) -> Decision:
        self.now += after
        start, began = self.running.pop(name)
        answer = result(start, **figures)
        return self.tick(Observed(name, start.attempt, "done", began, self.now, answer, 0))

    def failed(
        self, name: str, exit_code: int = 1, words: str = "boom", after: float = 10.0
    ) -> Decision:
        self.now += after
        start, began = self.running.pop(name)
        answer = RoundError(exit_code=exit_code, message=words)
        return self.tick(
            Observed(name, start.attempt, "failed", began, self.now, answer, exit_code)
        )

    def interrupted(self, name: str, after: float = 10.0) -> Decision:
        self.now += after
        start, began = self.running.pop(name)
        return self.tick(Observed(name, start.attempt, "interrupted", began, self.now))

    def finish(self, accuracy: Callable[[str], float] = lambda name: 0.98) -> Decision:
        """Let every attempt end well, oldest first, until the experiment has ended."""
        decision = self.decisions[-1] if self.decisions else self.tick()
        while self.running:
            name = next(iter(self.running))
            decision = self.done(name, accuracy=accuracy(name))
        return decision

    @property
    def rounds(self) -> dict[str, RoundStatus]:
        """The rounds shown in detail, by name."""
        return {} if self.status is None else {one.name: one for one in self.status.rounds}
