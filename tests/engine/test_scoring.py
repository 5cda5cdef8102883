"""Every score, scope and pattern of a spec reaches the pruning library, and comes out as it says."""

from typing import Any

import pytest
import torch
from torch import nn

import lottery_tickets
from lottery_tickets import Mask, verify_n_of_m
from ticketsmith.engine import data, models
from ticketsmith.engine.scoring import Sight, next_mask, random_mask
from ticketsmith.experiment.contract import TrainRound
from ticketsmith.experiment.spec import PruningSpec

CPU = torch.device("cpu")
SCORES = [
    {},
    {"score": "random"},
    {"score": "gradient"},
    {"score": "snip"},
    {"score": "grasp"},
    {"score": "synflow"},
    {"score": "taylor"},
    {"score": "fisher"},
    {"score": "hybrid", "scoreWeights": {"magnitude": 1, "taylor": 2}},
]
RULES: list[dict[str, Any]] = [
    *SCORES,
    {"scope": "layer"},
    {"scope": "uniform"},
    {"scope": "erk"},
    {"scope": "lamp"},
    {"exclude": ["fc3"]},
    {"pattern": "2:4"},
    {"pattern": "2:4", "score": "fisher"},
]


@pytest.fixture(scope="module")
def sight() -> Sight:
    loaded = data.load(TrainRound.model_validate(_document()).dataset, CPU)
    return Sight(loaded, CPU)


def _document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "ticket-s0-l01",
        "experiment": "test",
        "runnerVersion": "0.1.0",
        "arm": "ticket",
        "seed": 0,
        "level": 1,
        "sparsity": 0.5,
        "model": {"name": "lenet300"},
        "dataset": {"name": "digits"},
        "training": {},
        "rewind": "0it",
        "pruning": {},
    } | changes


def ticket(rules: dict[str, Any], sparsity: float = 0.5, level: int = 1) -> TrainRound:
    pruning = {"scoreSamples": 40} | rules
    return TrainRound.model_validate(_document(pruning=pruning, sparsity=sparsity, level=level))


def network(sight: Sight, name: str = "lenet300") -> nn.Module:
    torch.manual_seed(0)
    spec = ticket({}).model.model_copy(update={"name": name})
    return models.build(spec, sight.data.input_shape, sight.data.num_classes)


def pruned(model: nn.Module, before: Mask | None, task: TrainRound, sight: Sight) -> Mask:
    assert isinstance(task.pruning, PruningSpec)
    return next_mask(model, before, task, task.pruning, sight)


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_two_levels_are_exact_nested_and_repeatable(rules: dict[str, Any], sight: Sight) -> None:
    model = network(sight)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = pruned(model, None, ticket(rules), sight)
    prunable = lottery_tickets.prunable(model, rules.get("exclude", ()))
    total = sum(weight.numel() for weight in prunable.values())
    assert list(first) == list(prunable)
    assert sum(kept for kept, _ in lottery_tickets.counts(first).values()) == total - round(
        total / 2
    )
    again = pruned(network(sight), None, ticket(rules), sight)
    assert all(torch.equal(kept, again[name]) for name, kept in first.items())
    second = pruned(model, first, ticket(rules, 0.8, 2), sight)
    left = sum(kept for kept, _ in lottery_tickets.counts(second).values())
    assert left == total - round(0.8 * total)
    assert lottery_tickets.is_subset(second, first)
    assert model.training
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_scores_differ_in_what_they_keep(sight: Sight) -> None:
    found = [
        pruned(network(sight), None, ticket({"scoreSamples": 200} | rules), sight)
        for rules in SCORES
    ]
    flat = [torch.cat([kept.flatten() for kept in mask.values()]) for mask in found]
    assert all(not torch.equal(a, b) for i, a in enumerate(flat) for b in flat[:i])


def test_n_of_m_holds_for_the_ticket_and_for_its_random_control(sight: Sight) -> None:
    model, task = network(sight), ticket({"pattern": "2:4"}, 0.6)
    assert task.pruning is not None
    mask = pruned(model, None, task, sight)
    control = random_mask(model, mask, task, task.pruning, sight)
    for name, kept in mask.items():
        assert verify_n_of_m(kept, 2, 4)
        assert verify_n_of_m(control[name], 2, 4)
        assert not torch.equal(kept, control[name])
    assert lottery_tickets.counts(control) == lottery_tickets.counts(mask)


@pytest.mark.parametrize("score", ["magnitude", "taylor"])
def test_whole_channels_go_and_the_random_control_loses_as_many(score: str, sight: Sight) -> None:
    model = network(sight, "conv2")
    task = ticket({"pattern": "channel", "score": score})
    assert task.pruning is not None
    first = pruned(model, None, task, sight)
    assert 0.5 <= lottery_tickets.sparsity(first) < 0.56
    deeper = ticket({"pattern": "channel", "score": score}, 0.8, 2)
    second = pruned(model, first, deeper, sight)
    assert 0.8 <= lottery_tickets.sparsity(second) < 0.86
    assert lottery_tickets.is_subset(second, first)
    control = random_mask(model, second, deeper, task.pruning, sight)
    assert lottery_tickets.counts(control) == lottery_tickets.counts(second)
    assert any(not torch.equal(kept, second[name]) for name, kept in control.items())


def test_what_the_library_refuses_is_told(sight: Sight) -> None:
    with pytest.raises(ValueError, match="pattern 2:7 needs a multiple of 7 inputs"):
        pruned(network(sight), None, ticket({"pattern": "2:7"}, 0.8), sight)
