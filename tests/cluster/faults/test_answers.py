"""A round's answer is missing, broken or not its own, or its container ends badly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cluster_access import ClusterAccess
from faults.fleet import SHORT, SPEC, Fleet, fleet_of
from faults.node import Node
from misbehaviour import AnswerTwice, Behaviour, Exit, Script, answer
from operator_process import OperatorProcess
from simulated_answer import plausible_answer

from ticketsmith import __version__
from ticketsmith.experiment.contract import RoundError, RoundResult, write_answer
from ticketsmith.experiment.decision import World
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def _result() -> RoundResult:
    """What the dense round answers when nothing is wrong."""
    document = {"metadata": {"name": "any"}, "spec": {**SPEC, **SHORT}}
    experiment = PruningExperiment.model_validate(document)
    world = World(now=0.0, runner_version=__version__, machine="any", capacity=1)
    return plausible_answer(plan(experiment, [], world).start[0].round)


RESULT = _result()
GOOD = write_answer(RESULT)
OTHER = write_answer(RESULT.model_copy(update={"metrics": {"accuracy": 0.5, "valAccuracy": 0.5}}))
FOREIGN = write_answer(RESULT.model_copy(update={"key": "0123456789abcdef"}))
LONG = GOOD[:-1] + ',"files":{' + ",".join(f'"{n}":"{n:064x}"' for n in range(80)) + "}}"
NO_SPEC = write_answer(RoundError(exit_code=2, message="the data is missing"))


@dataclass(frozen=True)
class Case:
    """What the dense round's container does at its attempts, and what must come of it."""

    does: tuple[Behaviour, ...]
    attempts: int
    says: str
    """Part of what the round's last words say, where the experiment fails."""


CASES = {
    "missing": Case((answer(""),), 2, ""),
    "truncated": Case((answer(GOOD[:100]),), 2, ""),
    "over_4_kB": Case((answer(LONG),), 2, ""),
    "not_json": Case((answer("all is well"),), 2, ""),
    "json_but_no_answer": Case((answer('{"outcome": "done"}'),), 2, ""),
    "of_another_round": Case((answer(FOREIGN),), 2, ""),
    "given_twice": Case((AnswerTwice(GOOD, OTHER),), 1, ""),
    "given_with_a_failure": Case((Exit(1, GOOD),), 2, ""),
    "a_crash_without_words": Case((Exit(139),), 2, ""),
    "never_a_good_one": Case((answer(""), Exit(1, "boom"), answer("{}")), 3, "without a result"),
    "a_wrong_spec": Case((Exit(2, NO_SPEC),), 1, "the data is missing"),
}


@pytest.fixture(scope="module")
def ended(
    experiments_crd: ClusterAccess, node: Node, operator: OperatorProcess
) -> Iterator[tuple[Fleet, dict[str, str]]]:
    """All cases side by side, and the namespace of each."""
    assert len(LONG.encode()) > 4096
    with fleet_of(experiments_crd, node, len(CASES), **SHORT) as fleet:
        places = dict(zip(CASES, fleet.namespaces, strict=True))
        for name, case in CASES.items():
            told = {("dense-s0", n): one for n, one in enumerate(case.does, start=1)}
            node.scripts[places[name]] = Script(told)
        fleet.apply()
        fleet.wait_until_ended()
        yield fleet, places


@pytest.mark.parametrize("name", CASES)
def test_an_answer_that_is(name: str, ended: tuple[Fleet, dict[str, str]]) -> None:
    fleet, places = ended
    case, namespace = CASES[name], places[name]
    status: Any = fleet.status(namespace)
    rounds = {one["name"]: one for one in status["rounds"]}
    dense = rounds["dense-s0"]
    assert dense["attempts"] == case.attempts == len(fleet.runs(namespace, "dense-s0"))
    if case.says:
        assert (status["phase"], status["reason"]) == ("Failed", "RoundFailed")
        assert case.says in status["message"]
    else:
        assert (status["phase"], status["reason"]) == ("Succeeded", "AllRoundsDone")
        assert dense["failures"] == case.attempts - 1
        assert dense["metrics"]["accuracy"] in (RESULT.metrics["accuracy"], 0.5)


def test_nothing_is_left_behind(ended: tuple[Fleet, dict[str, str]]) -> None:
    fleet, _ = ended
    fleet.assert_all_is_well(once=False)
