"""What an experiment needs of a store: everything while it goes on, afterwards what spec.retention says."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab

from ticketsmith.experiment import ledger
from ticketsmith.experiment.contract import TrainRound
from ticketsmith.experiment.retention import Claims, claim
from ticketsmith.experiment.spec import PruningExperiment

MakeLab = Callable[..., Lab]


def claims_of(lab: Lab, *, here: bool = True, **retention: Any) -> Claims:
    """What the experiment claims, as it stands."""
    if retention:
        lab.change(retention=retention)
    claims = Claims()
    current = lab.experiment.model_copy(update={"status": lab.status})
    claim(claims, "trial", current, "1", here=here)
    return claims


def needing_everything(claims: Claims) -> set[str]:
    """Names of the rounds of which everything is needed."""
    return {c.round for some in claims.by_key.values() for c in some if c.needs == "everything"}


def needing_results(claims: Claims) -> set[str]:
    """Names of the rounds of which the weights may go."""
    return {c.round for some in claims.by_key.values() for c in some if c.needs == "results"}


# --- while it goes on ----------------------------------------------------------------------------
@given(
    spec=st.fixed_dictionaries(
        {
            "seeds": st.sampled_from([[0], [0, 7]]),
            "controls": st.sampled_from([[], ["reinit"], ["reinit", "random"]]),
            "pruning": st.sampled_from([{}, {"method": "oneShot"}]),
            "sparsities": st.sampled_from([{"targets": [0.5]}, {"targets": [0.3, 0.6, 0.9]}]),
        }
    ),
    stop_after=st.integers(0, 12),
)
def test_whatever_a_live_experiment_will_train_is_claimed_before_it_begins(
    spec: dict[str, Any], stop_after: int
) -> None:
    """Claimed at any point, by key, long before the plan asks for it: a key follows from the spec alone."""
    lab = Lab(**spec, retention={"keepCheckpoints": "best"})
    lab.tick()
    for _ in range(stop_after):
        if lab.running:
            lab.done(next(iter(lab.running)))
    claims = claims_of(lab) if lab.running else None
    lab.finish()
    asked = {
        start.round.key
        for decision in lab.decisions
        for start in decision.start
        if isinstance(start.round, TrainRound)
    }
    if claims is not None:
        assert asked <= claims.by_key.keys()
        assert needing_results(claims) == set()


def test_an_experiment_that_has_not_begun_claims_all_its_rounds(make_lab: MakeLab) -> None:
    lab = make_lab(controls=["reinit"])
    assert needing_everything(claims_of(lab)) == {
        "dense-s0",
        *(f"{arm}-s0-l{level:02d}" for arm in ("ticket", "reinit") for level in (1, 2)),
    }


def test_a_suspended_experiment_goes_on(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.tick()
    lab.change(suspend=True)
    lab.tick()
    assert lab.status is not None
    assert lab.status.phase == "Suspended"
    assert needing_results(claims_of(lab, keepCheckpoints="best")) == set()


def test_rounds_that_an_older_version_started_are_claimed_by_the_keys_they_have(
    make_lab: MakeLab,
) -> None:
    lab = make_lab()
    lab.tick()
    lab.done("dense-s0")
    known = lab.rounds["dense-s0"].key
    claims = Claims()
    claim(
        claims,
        "trial",
        lab.experiment.model_copy(update={"status": lab.status}),
        "newer",
        here=True,
    )
    assert [one.round for one in claims.of(known or "")] == ["dense-s0"]
    assert len(claims.by_key) == 3  # the second ticket by the key it is going to have


# --- once it has ended ---------------------------------------------------------------------------
@pytest.fixture
def ended(make_lab: MakeLab) -> Lab:
    """Seed 0 passes level 2 and seed 1 level 1 only; controls; all is over."""
    lab = make_lab(seeds=[0, 1], controls=["random"])
    lab.finish(lambda name: 0.5 if name == "ticket-s1-l02" else 0.98)
    assert lab.status is not None
    assert lab.status.phase == "Succeeded"
    return lab


def test_best_keeps_the_best_ticket_and_its_dense_network(ended: Lab) -> None:
    claims = claims_of(ended, keepCheckpoints="best")
    assert ended.status is not None
    assert ended.status.best is not None
    assert ended.status.best.round == "ticket-s0-l01"  # both seeds pass level 1
    assert needing_everything(claims) == {"ticket-s0-l01", "dense-s0"}
    assert needing_results(claims) == {
        *("dense-s1", "ticket-s0-l02", "ticket-s1-l01", "ticket-s1-l02"),
        *("random-s0-l01", "random-s0-l02", "random-s1-l01"),
        "report",
    }


def test_last_keeps_each_seeds_deepest_ticket_that_passed(ended: Lab) -> None:
    claims = claims_of(ended, keepCheckpoints="last")
    kept = {"ticket-s0-l02", "ticket-s1-l01", "dense-s0", "dense-s1"}
    assert needing_everything(claims) == kept


def test_all_is_the_default_and_keeps_all(ended: Lab) -> None:
    assert ended.experiment.spec.retention.keep_checkpoints == "all"
    assert needing_results(claims_of(ended)) == set()


@pytest.mark.parametrize("mode", ["best", "last"])
def test_where_no_ticket_passed_the_dense_networks_stay(make_lab: MakeLab, mode: str) -> None:
    lab = make_lab(seeds=[0, 1])
    lab.finish(lambda name: 0.98 if name.startswith("dense") else 0.1)
    assert lab.status is not None
    assert lab.status.phase == "Failed"
    claims = claims_of(lab, keepCheckpoints=mode)
    assert needing_everything(claims) == {"dense-s0", "dense-s1"}


def test_rounds_in_the_ledger_are_claimed_like_the_others(ended: Lab) -> None:
    assert ended.status is not None
    before = claims_of(ended, keepCheckpoints="best")
    lines = tuple(ledger.write(known, "accuracy") for known in ended.status.rounds)
    ended.status = ended.status.model_copy(update={"rounds": (), "ledger": lines})
    assert claims_of(ended) == before


def test_in_a_store_that_is_not_its_own_its_retention_takes_nothing(ended: Lab) -> None:
    claims = claims_of(ended, here=False, keepCheckpoints="best")
    assert needing_results(claims) == set()
    assert len(claims.by_key) == len(claims_of(ended).by_key)


def test_a_status_whose_best_is_no_round_of_it_loses_nothing(ended: Lab) -> None:
    assert ended.status is not None
    assert ended.status.best is not None
    best = ended.status.best.model_copy(update={"round": "ticket-s9-l01"})
    ended.status = ended.status.model_copy(update={"best": best})
    assert needing_results(claims_of(ended, keepCheckpoints="best")) == set()


def test_who_needs_everything_comes_first() -> None:
    claims = Claims()
    claims.add("over", {"a" * 16: "dense-s0"}, "results", "keepCheckpoints is best")
    claims.add("live", {"a" * 16: "dense-s3"}, "everything", "goes on")
    assert [one.label for one in claims.of("a" * 16)] == ["live", "over"]
    assert claims.of("b" * 16) == ()


# --- the field itself ----------------------------------------------------------------------------
def test_what_is_kept_decides_no_result(
    make_experiment: Callable[..., PruningExperiment], make_lab: MakeLab
) -> None:
    plain = make_experiment()
    kept = make_experiment(
        retention={"keepCheckpoints": "best", "ttlSecondsAfterFinished": 0},
    )
    assert plain.spec.config_hash == kept.spec.config_hash
    labs = [make_lab(), make_lab(retention={"keepCheckpoints": "last"})]
    for lab in labs:
        lab.finish()
    one, other = (
        {start.round.name: start.round.key for d in lab.decisions for start in d.start}
        for lab in labs
    )
    assert one == other


def test_it_may_change_after_the_end_without_another_decision(ended: Lab) -> None:
    before = ended.status
    ended.change(retention={"keepCheckpoints": "best", "ttlSecondsAfterFinished": 60})
    decision = ended.tick(after=1000.0)
    assert (decision.start, decision.stop, decision.events) == ((), (), ())
    assert decision.status == before
