"""plan on a thousand rounds: the ledger carries what the details cannot, and the status stays small."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from ticketsmith.experiment.contract import RoundError
from ticketsmith.experiment.decision import Observed
from ticketsmith.experiment.ledger import DETAILS, recall
from ticketsmith.experiment.steps import steps

MOST_BYTES = 100_000


def test_a_thousand_rounds(make_lab: Callable[..., Any], make_result: Callable[..., Any]) -> None:
    """150 run at once, more than are shown in detail; one in twenty attempts fails; every status goes through
    JSON (the lab sees to it)."""
    random = Random(0)
    lab = make_lab(
        capacity=150,
        seeds=list(range(10)),
        sparsities={"rate": 0.1, "levels": 33},
        controls=["reinit", "random"],
        benchmark={},
        pruning={"method": "oneShot"},
        limits={"retries": 100, "deadlineSeconds": 10**6},
    )
    lab.tick()
    begun: Counter[str] = Counter(list(lab.running))
    largest = most_running = 0
    while lab.running:
        lab.now += 10
        ended = random.sample(sorted(lab.running), k=min(len(lab.running), random.randint(1, 40)))
        seen = []
        for name in ended:
            start, began = lab.running.pop(name)
            at = (name, start.attempt)
            if random.random() < 0.05:
                answer = RoundError(exit_code=1, message="the node went away")
                seen.append(Observed(*at, "failed", began, lab.now, answer, 1))
            else:
                answer = make_result(start, accuracy=0.98 - 0.0001 * random.random())
                seen.append(Observed(*at, "done", began, lab.now, answer))
        seen += [Observed(n, s.attempt, "running", at) for n, (s, at) in lab.running.items()]
        decision = lab.tick(*seen)
        begun.update(start.round.name for start in decision.start)
        known = recall(lab.status.rounds, lab.status.ledger)
        running = {name for name, one in known.items() if one.state == "Running"}
        assert running == lab.running.keys()
        assert len(lab.status.rounds) <= DETAILS
        most_running = max(most_running, len(running))
        largest = max(largest, len(lab.status.model_dump_json(exclude_none=True)))
    listed = steps(lab.experiment.spec)
    known = recall(lab.status.rounds, lab.status.ledger)
    assert len(listed) == 1002
    assert most_running == 150
    assert (lab.status.phase, lab.status.reason) == ("Succeeded", "AllRoundsDone")
    assert lab.status.progress == "1002/1002"
    assert known.keys() == {step.name for step in listed}
    assert {name: one.attempts for name, one in known.items()} == dict(begun)
    assert all(one.key for one in known.values())
    assert lab.status.best.level == 33
    assert largest < MOST_BYTES
