"""Whole rounds in this process: what each arm begins with, what it leaves, and what it refuses."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from lottery_tickets import masks
from ticketsmith.engine import arms, data, models, tensors
from ticketsmith.engine.scoring import Sight
from ticketsmith.engine.training import batches
from ticketsmith.experiment import results
from ticketsmith.experiment.contract import Parents, RoundResult, TrainRound
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import Evaluation
from ticketsmith.stores.base import Store

Work = Callable[[TrainRound], RoundResult]
CPU = torch.device("cpu")


def beginning(task: TrainRound, store: Store) -> arms.Beginning:
    """What the round's training begins with, prepared anew."""
    loaded = data.load(task.dataset, CPU)
    rewind = task.rewind.total(len(batches(loaded, task.training, task.seed)))
    return arms.begin(
        task,
        store,
        lambda: models.build(task.model, loaded.input_shape, loaded.num_classes),
        rewind,
        Sight(loaded, CPU),
    )


def mask_of(task: TrainRound, store: Store) -> dict[str, torch.Tensor]:
    return masks.load(store.fetch(task.key, results.MASK))


def test_a_dense_round_leaves_what_its_answer_says(
    make_round: Any, work: Work, store: Store
) -> None:
    task = make_round()
    result = work(task)
    assert (result.arm, result.seed, result.level, result.key) == ("dense", 0, 0, task.key)
    assert result.remaining == result.prunable == 64 * 300 + 300 * 100 + 100 * 10
    assert result.parameters == result.prunable + 410
    assert set(result.metrics) == {"accuracy", "loss", "valAccuracy", "valLoss", "trainLoss"}
    assert result.metrics["accuracy"] > 0.8
    assert set(result.files) == {
        results.SPEC,
        results.METRICS,
        results.LAYERS,
        results.ENVIRONMENT,
        results.WEIGHTS,
        results.REWIND,
        results.SAMPLES,
    }
    for name, sha256 in result.files.items():
        assert store.fetch(task.key, name, sha256).is_file()
    lines = (store.read_text(task.key, results.METRICS) or "").splitlines()
    history = [Evaluation.model_validate_json(line) for line in lines]
    assert [line.epoch for line in history] == [0, 1, 2, 3]
    assert history[0].train_loss is None
    assert result.selected_iteration == result.iterations == history[-1].iteration
    assert TrainRound.model_validate_json(store.read_text(task.key, results.SPEC) or "") == task
    environment = json.loads(store.read_text(task.key, results.ENVIRONMENT) or "")
    assert environment["device"] == "cpu"
    with pytest.raises(BadSpec):
        store.fetch(task.key, results.CHECKPOINT)


def test_samples_hold_right_and_wrong_images(make_round: Any, work: Work, store: Store) -> None:
    task = make_round(training={"duration": "1ep"})
    work(task)
    found = tensors.read(store.fetch(task.key, results.SAMPLES))
    right = found["predictions"] == found["labels"]
    assert found["images"].dtype == torch.uint8
    assert 0 < int((~right).sum()) <= 16
    assert int(right.sum()) == 16
    assert bool(((found["confidences"] > 0) & (found["confidences"] <= 1)).all())


def test_a_second_run_answers_and_rewrites_nothing(
    make_round: Any, work: Work, store: Store, tmp_path: Path
) -> None:
    task = make_round(training={"duration": "1ep"})
    first = work(task)
    folder = tmp_path / "store" / task.key
    before = {f.name: f.stat().st_mtime_ns for f in folder.iterdir() if f.is_file()}
    assert work(task) == first
    after = {f.name: f.stat().st_mtime_ns for f in folder.iterdir() if f.is_file()}
    del after[results.USED]
    assert {n: t for n, t in after.items() if not n.startswith(".")} == {
        n: t for n, t in before.items() if not n.startswith(".")
    }


@pytest.mark.parametrize("rewind", ["0it", "5it", "1ep2it"])
def test_a_ticket_begins_with_theta_k_times_its_mask(
    ladder: Any, store: Store, rewind: str
) -> None:
    dense, ticket = ladder(0.6, rewind=rewind)
    theta = tensors.read(store.fetch(dense.key, results.REWIND))
    mask = mask_of(ticket, store)
    expected = {n: torch.where(mask[n], t, 0.0) if n in mask else t for n, t in theta.items()}
    found = beginning(ticket, store)
    assert tensors.digest(found.model.state_dict()) == tensors.digest(expected)
    steps = {"0it": 0, "5it": 5}.get(rewind, found.step)
    assert found.step == steps


def test_late_rewinding_keeps_the_weights_of_that_step_and_the_whole_budget(
    ladder: Any, make_round: Any, work: Work, store: Store
) -> None:
    dense, ticket = ladder(0.5, rewind="5it")
    stopped = make_round(training={"duration": "5it"})
    work(stopped)
    at_five = tensors.read(store.fetch(stopped.key, results.WEIGHTS))
    kept = tensors.read(store.fetch(dense.key, results.REWIND))
    assert tensors.digest(kept) == tensors.digest(at_five)
    trained = work(dense).iterations
    assert trained is not None
    assert work(ticket).iterations == trained - 5
    assert work(ticket).selected_iteration == trained


def test_iterative_masks_are_nested_over_three_levels(
    ladder: Any, work: Work, store: Store
) -> None:
    rounds = ladder(0.3, 0.6, 0.9)
    found = [mask_of(task, store) for task in rounds[1:]]
    for wider, narrower in pairwise(found):
        assert all(bool((wider[n] | ~narrower[n]).all()) for n in wider)
    for task in rounds[1:]:
        result = work(task)
        assert result.sparsity == pytest.approx(task.sparsity, abs=1 / 50_000)
        weights = tensors.read(store.fetch(task.key, results.WEIGHTS))
        zeros = sum(int((weights[n] == 0).sum()) for n in mask_of(task, store))
        assert zeros == (result.prunable or 0) - (result.remaining or 0)


def test_one_shot_prunes_every_level_from_the_dense_round(ladder: Any, store: Store) -> None:
    dense, low, high = ladder(0.5, 0.8, one_shot=True, pruning={"method": "oneShot"})
    weights = tensors.read(store.fetch(dense.key, results.WEIGHTS))
    for task in (low, high):
        mask = mask_of(task, store)
        kept = torch.cat([weights[n][m].abs() for n, m in mask.items()])
        gone = torch.cat([weights[n][~m].abs() for n, m in mask.items()])
        assert float(gone.max()) <= float(kept.min())


def test_rate_factors_and_exclusions_reach_the_mask(ladder: Any, work: Work, store: Store) -> None:
    names = list(mask_of(ladder(0.5)[1], store))
    last = names[-1].removesuffix(".weight")
    first = names[0].removesuffix(".weight")
    _, halved = ladder(0.4, pruning={"scope": "layer", "rateFactors": {last: 0.5}})
    fractions = {n: 1 - float(m.float().mean()) for n, m in mask_of(halved, store).items()}
    assert fractions[names[-1]] == pytest.approx(fractions[names[0]] / 2, abs=0.002)
    _, excluded = ladder(0.4, pruning={"exclude": [first]})
    assert names[0] not in mask_of(excluded, store)
    assert (work(excluded).prunable or 0) < (work(halved).prunable or 0)


def test_controls_differ_from_the_ticket_only_in_their_inputs(
    ladder: Any, make_round: Any, work: Work, store: Store
) -> None:
    dense, ticket = ladder(0.7, rewind="4it")
    parents = Parents(dense=dense.key, ticket=ticket.key)
    reinit, random = (
        make_round(arm, 1, 0.7, rewind="4it", parents=parents) for arm in ("reinit", "random")
    )
    begun = {task.arm: beginning(task, store) for task in (dense, ticket, reinit, random)}
    for task in (reinit, random):
        assert work(task).iterations == work(ticket).iterations
        assert work(task).remaining == work(ticket).remaining
        assert begun[task.arm].step == begun["ticket"].step == 4
    masked = mask_of(ticket, store)
    assert all(torch.equal(masked[n], m) for n, m in begun["reinit"].mask.items())
    scattered = begun["random"].mask
    assert [int(m.sum()) for m in scattered.values()] == [int(m.sum()) for m in masked.values()]
    assert any(not torch.equal(masked[n], m) for n, m in scattered.items())
    theta = tensors.read(store.fetch(dense.key, results.REWIND))
    new = begun["reinit"].model.state_dict()
    drawn = begun["random"].model.state_dict()
    for name, kept in scattered.items():
        assert torch.equal(drawn[name], theta[name] * kept)
        both = masked[name]
        assert not torch.equal(new[name][both], theta[name][both])
        assert float(new[name][both].std()) > 0


def test_a_round_scores_the_last_weights_though_it_reports_the_best(
    ladder: Any, store: Store, work: Work
) -> None:
    training = {
        "duration": "12ep",
        "optimizer": {"name": "adam", "lr": 0.03},
        "select": "bestValidation",
    }
    dense, ticket = ladder(0.5, training=training)
    result = work(dense)
    assert result.selected_iteration == result.best_iteration != result.iterations
    last = tensors.read(store.fetch(dense.key, results.FINAL))
    best = tensors.read(store.fetch(dense.key, results.WEIGHTS))
    assert tensors.digest(last) != tensors.digest(best)
    mask = mask_of(ticket, store)
    kept = torch.cat([last[n][m].abs() for n, m in mask.items()])
    gone = torch.cat([last[n][~m].abs() for n, m in mask.items()])
    assert float(gone.max()) <= float(kept.min())


@pytest.mark.parametrize("name", [results.WEIGHTS, results.REWIND])
def test_an_artifact_whose_hash_does_not_match_is_named_and_not_used(
    make_round: Any, work: Work, store: Store, name: str
) -> None:
    dense = make_round(training={"duration": "1ep"})
    work(dense)
    file = store.fetch(dense.key, name)
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    parents = Parents(dense=dense.key, scored=dense.key)
    ticket = make_round("ticket", 1, 0.5, training={"duration": "1ep"}, parents=parents)
    with pytest.raises(BadSpec, match=rf"{dense.key}/{name}"):
        work(ticket)
    assert store.read_text(ticket.key, results.RESULT) is None


@pytest.mark.parametrize(
    ("arm", "changes", "words"),
    [
        ("ticket", {}, "parents.scored is missing"),
        ("ticket", {"parents": {"scored": "0123456789abcdef"}}, "0123456789abcdef, which has no"),
        ("ticket", {"pruning": None}, "pruning is missing"),
        ("reinit", {}, "parents.ticket is missing"),
        ("ticket", {"pruning": {"exclude": ["fc9"]}}, "pruning: pattern 'fc9' matches no"),
        ("dense", {"rewind": "50ep"}, "rewind is 50ep, not before the end"),
    ],
)
def test_a_round_that_cannot_begin_says_why(
    make_round: Any, work: Work, arm: str, changes: dict[str, Any], words: str
) -> None:
    dense = make_round()
    work(dense)
    if "exclude" in str(changes):
        changes = changes | {"parents": {"dense": dense.key, "scored": dense.key}}
    with pytest.raises(BadSpec, match=words):
        work(make_round(arm, 0 if arm == "dense" else 1, 0.0, **changes))


def test_a_damaged_answer_is_named(make_round: Any, work: Work, store: Store) -> None:
    task = make_round(training={"duration": "1ep"})
    store.create_text(task.key, results.RESULT, "{half of it")
    with pytest.raises(BadSpec, match=rf"{task.key}/result.json .* is damaged"):
        work(task)


def test_a_parent_of_another_network_is_refused(make_round: Any, work: Work) -> None:
    dataset = {"name": "digits", "options": {"size": 28}}
    dense = make_round(training={"duration": "1ep"}, dataset=dataset)
    work(dense)
    parents = Parents(dense=dense.key, scored=dense.key)
    other = make_round("ticket", 1, 0.5, model={"name": "lenet5"}, dataset=dataset, parents=parents)
    with pytest.raises(
        BadSpec, match=rf"{dense.key}/weights.safetensors holds the weights of another"
    ):
        work(other)
