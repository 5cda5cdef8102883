"""A thousand changes of spec drawn from the CRD's schema, good and bad, most while rounds run (Acto, SOSP'23).

Each is either refused by the API server, or the status converges: it speaks of the new generation, and suspend,
parallelism and deadlines are obeyed. An experiment that has ended, or where nothing runs any more, is deleted and made
again, so that changes go on meeting rounds that run. The same seed draws the same changes; a failure names the seed,
and what was changed so far.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cluster_access import eventually
from faults.api import EXPERIMENTS, where
from faults.conftest import MakeFleet
from faults.fleet import PATIENCE_SECONDS, Fleet
from faults.story import broken_rules, is_live
from generate import Transition, transitions
from operator_process import OperatorProcess
from pod_history import Ran

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
SEED = 20251
EXPERIMENTS_AT_ONCE = 20
CHANGES_EACH = 52
ROUND_SECONDS = 3.0
"""So that most changes meet rounds that run."""
CAPACITY = 4
"""What the operator runs at once where limits.parallelism does not say."""
QUIET_CHANGES = 4
"""Changes without a running round after which an experiment is made anew."""
LAG_SECONDS = 10.0
"""For so long after parallelism was lowered, a Job that was announced before may still begin."""
LONG = {
    "sparsities": {"targets": [0.2, 0.4, 0.6, 0.8]},
    "controls": ["reinit", "random"],
    "seeds": [0, 1],
    "gates": [],
    "limits": {"parallelism": 2},
}
ENDED = ("Succeeded", "Failed")


@dataclass(eq=False)
class Trial:
    """One experiment that is changed again and again."""

    fleet: Fleet
    namespace: str
    number: int
    changes: Iterator[Transition] = field(init=False)
    told: list[str] = field(default_factory=list)
    """What was changed since it was last made."""
    places: list[tuple[float, int]] = field(default_factory=list)
    """When how many rounds at once were allowed, since it was last made."""
    uids: list[str] = field(default_factory=list)
    taken: int = 0
    refused: int = 0
    met: int = 0
    """Changes that were asked for while a round ran."""
    quiet: int = 0
    """Changes in a row that were asked for while nothing ran: suspended, or waiting for what never comes."""

    def make(self) -> None:
        """Make the experiment."""
        self.fleet.apply(self.namespace)
        made = self.fleet.experiment(self.namespace)
        if not self.uids:
            self.changes = transitions(SEED + self.number, made["spec"])
        self.uids.append(made["metadata"]["uid"])
        self.told.clear()
        self.places.clear()
        self.quiet = 0
        self._note(made["spec"])

    def change(self) -> None:
        """Ask for the next change."""
        change = next(self.changes)
        history = list(self.fleet.node.history)
        runs = any(one.experiment == self.uids[-1] and one.ended is None for one in history)
        self.met += runs
        self.quiet = 0 if runs else self.quiet + 1
        told = f"{'.'.join(change.path)} = {change.value!r}"[:300]
        current = self.fleet.experiment(self.namespace)
        body = {**current, "spec": change.apply(current["spec"])}
        code, said = self.fleet.api.ask(
            "PUT", self.fleet.path(self.namespace), body, fieldValidation="Strict"
        )
        while code == 409:  # the operator wrote its status meanwhile
            current = self.fleet.experiment(self.namespace)
            body["metadata"] = current["metadata"]
            code, said = self.fleet.api.ask(
                "PUT", self.fleet.path(self.namespace), body, fieldValidation="Strict"
            )
        assert code in (200, 400, 422), f"{told}: {code}: {said}"
        if change.valid is not None:
            assert (code == 200) is change.valid, f"{told}: {code}: {said.get('message')}"
        if code == 200:
            self.taken += 1
            self.told.append(told)
            self._note(said["spec"])
        else:
            self.refused += 1

    def remake_if_nothing_goes_on(self, experiment: Any) -> None:
        """Begin anew, under the same name, where there is nothing left to disturb."""
        if experiment["status"]["phase"] in ENDED or self.quiet >= QUIET_CHANGES:
            path = self.fleet.path(self.namespace)
            self.fleet.api.must("DELETE", path)
            eventually(lambda: self.fleet.api.ask("GET", path)[0] == 404, "the deletion")
            self.make()

    def crowds(self, history: list[Ran]) -> list[str]:
        """Containers of the present experiment that began when there was no place for them."""
        ours = [ran for ran in history if ran.experiment == self.uids[-1]]
        found = []
        for ran in ours:
            others = [
                one
                for one in ours
                if one.started <= ran.started and (one.ended or ran.started + 1) > ran.started
            ]
            if len(others) > self._most(ran.started):
                found.append(f"{ran.round} is one of {len(others)}")
        return found

    def _note(self, spec: Any) -> None:
        most = spec.get("limits", {}).get("parallelism") or CAPACITY
        self.places.append((time.time(), most))

    def _most(self, moment: float) -> int:
        """Most rounds that were allowed at that moment or shortly before it."""
        before = [most for at, most in self.places if at <= moment]
        lately = [most for at, most in self.places if moment - LAG_SECONDS < at <= moment]
        return max([*before[-1:], *before[-2:-1] * bool(lately), *lately], default=CAPACITY)


def test_every_change_is_refused_or_the_status_converges(
    operator: OperatorProcess, make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = make_fleet(EXPERIMENTS_AT_ONCE, **LONG)
    monkeypatch.setattr(fleet.node, "seconds", ROUND_SECONDS)
    trials = [Trial(fleet, name, number) for number, name in enumerate(fleet.namespaces)]
    for trial in trials:
        trial.make()
    for _ in range(CHANGES_EACH):
        for trial in trials:
            trial.change()
        converged = _wait_until_converged(fleet, trials)
        for trial in trials:
            trial.remake_if_nothing_goes_on(converged[trial.namespace])
    taken, refused = sum(t.taken for t in trials), sum(t.refused for t in trials)
    assert taken + refused >= 1000
    assert min(taken, refused, sum(t.met for t in trials)) >= 200
    _end(fleet, trials)


def _wait_until_converged(fleet: Fleet, trials: list[Trial]) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def is_so() -> bool:
        seen.update(fleet.experiments())
        history = list(fleet.node.history)
        return not any(_unsettled(seen[t.namespace], history) for t in trials)

    try:
        eventually(is_so, "convergence", 60)
    except pytest.fail.Exception:
        history = list(fleet.node.history)
        left = {t: _unsettled(seen[t.namespace], history) for t in trials}
        pytest.fail("\n".join(_story(t, why) for t, why in left.items() if why), pytrace=False)
    history = list(fleet.node.history)
    crowded = {trial: trial.crowds(history) for trial in trials}
    found = [_story(trial, "; ".join(why)) for trial, why in crowded.items() if why]
    assert not found, "\n".join(found)
    return seen


def _unsettled(experiment: Any, history: list[Ran]) -> str:
    """What the status does not say, or what does not happen, though the spec wants it; empty if all is well."""
    status, spec = experiment.get("status", {}), experiment["spec"]
    generation = experiment["metadata"]["generation"]
    if status.get("observedGeneration") != generation:
        return f"generation {generation} is not observed: {status.get('observedGeneration')}"
    if status["phase"] in ENDED:
        return ""
    accepted = next(c for c in status["conditions"] if c["type"] == "Accepted")
    if accepted["status"] != "True":
        return ""
    suspend = spec.get("suspend", False)
    if (status["phase"] == "Suspended") is not suspend:
        return f"suspend is {suspend} and the phase {status['phase']}"
    uid = experiment["metadata"]["uid"]
    running = [ran.round for ran in history if ran.experiment == uid and ran.ended is None]
    if suspend and running:
        return f"{running} go on though all is suspended"
    return ""


def _story(trial: Trial, why: str) -> str:
    changes = "\n    ".join(trial.told)
    return f"{trial.namespace} (seed {SEED} + {trial.number}): {why}; changed were:\n    {changes}"


def _end(fleet: Fleet, trials: list[Trial]) -> None:
    """Delete all: nothing may be left, and nothing may ever have run twice at once."""
    experiments = fleet.experiments()
    for trial in trials:
        fleet.api.must("DELETE", where(EXPERIMENTS, trial.namespace, fleet.name))

    def is_quiet() -> bool:
        return not any(is_live(job) for jobs in fleet.jobs().values() for job in jobs)

    eventually(is_quiet, "end of all Jobs", PATIENCE_SECONDS)
    history = list(fleet.node.history)
    for trial in trials:
        for uid in trial.uids:
            one = {**experiments[trial.namespace], "metadata": {"uid": uid}}
            rules = broken_rules({**one, "status": {"phase": "Failed"}}, [], history, once=False)
            assert rules == [], _story(trial, "; ".join(rules))
