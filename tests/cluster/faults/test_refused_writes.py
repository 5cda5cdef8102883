"""Writes are answered with an error: each in turn, carried out all the same or not, and the API server as a whole."""

import itertools
from random import Random

import pytest
from fault_proxy import FaultProxy
from faults.conftest import MakeFleet, StartOperator
from faults.injections import Flaky, Refusals

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
WRITES = 24
CODES = (409, 429, 500, 503, 410)
TROUBLES = [(code, done) for code in CODES for done in (False, True)]


def test_any_write_may_be_refused_or_lose_its_answer(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    """Every write meets two of the troubles; over all writes each trouble comes about equally often."""
    turns = itertools.cycle(TROUBLES)
    points = [(number, *next(turns)) for number in range(1, WRITES + 1) for _ in range(2)]
    fleet = make_fleet(1 + len(points))
    untroubled, *troubled = fleet.namespaces
    for namespace, (number, code, done) in zip(troubled, points, strict=True):
        wait = 1 if code == 429 else None
        proxy.faults[namespace] = Refusals(code, {number}, wait, done)
    fleet.apply()
    start_operator(fleet)
    reference = fleet.wait_until_ended()[untroubled]
    fleet.assert_all_is_well(reference)
    met = [
        len(proxy.writes(namespace)) >= number
        for namespace, (number, *_) in zip(troubled, points, strict=True)
    ]
    told = [fault.answered for fault in proxy.faults.values() if isinstance(fault, Refusals)]
    assert told == met
    # How many writes an experiment takes depends on how many rounds end within one turn.
    assert sum(met) >= len(met) / 2


def test_a_third_of_all_calls_fails(
    proxy: FaultProxy, start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(8)
    untroubled, *troubled = fleet.namespaces
    for seed, namespace in enumerate(troubled):
        proxy.faults[namespace] = Flaky(1 / 3, (500, 429, 503, 409), Random(seed))
    fleet.apply()
    start_operator(fleet)
    reference = fleet.wait_until_ended()[untroubled]
    fleet.assert_all_is_well(reference)
