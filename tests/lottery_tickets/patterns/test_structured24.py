"""2:4 of a whole network, by the names of its users."""

import pytest
import torch
from torch import nn

from lottery_tickets import Structured24Pruner, counts, prunable, verify_n_of_m


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ConvTranspose2d(8, 3, 2), nn.Linear(12, 6))


def test_masks_come_back_and_the_network_stays() -> None:
    model, pruner = net(), Structured24Pruner()
    before = [parameter.clone() for parameter in model.parameters()]
    masks = pruner.prune_model(model)
    assert list(masks) == ["0.weight", "1.weight", "2.weight"]
    assert all(2 * kept == total for kept, total in counts(masks).values())
    assert all(map(torch.equal, before, model.parameters()))
    assert pruner.verify_24_pattern(masks["2.weight"])
    assert not pruner.verify_24_pattern(model[2].weight)
    assert pruner.verify_model(model) == dict.fromkeys(masks, False)


def test_applied_if_asked() -> None:
    model, pruner = net(), Structured24Pruner()
    pruner.prune_model(model, apply=True)
    assert pruner.verify_model(model) == dict.fromkeys(prunable(model), True)
    assert pruner.verify_24_pattern(model[0].weight)
    assert pruner.verify_24_pattern(model[2].weight)


def test_other_patterns_masks_scores_and_exclusions() -> None:
    model = net()
    pruner = Structured24Pruner("1:4", exclude=["1"])
    masks = pruner.prune_model(model)
    assert [kept / total for kept, total in counts(masks).values()] == [0.25, 0.25]
    fewer = {name: torch.zeros_like(mask) for name, mask in masks.items()}
    assert not any(mask.any() for mask in pruner.prune_model(model, mask=fewer).values())
    scores = {name: -weight.detach().abs() for name, weight in prunable(model, ["1"]).items()}
    weight, least = model[2].weight.detach(), pruner.prune_model(model, scores=scores)["2.weight"]
    assert float(weight[least].abs().max()) < float(weight[masks["2.weight"]].abs().mean())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern is '4:4'"):
        Structured24Pruner("4:4")
    with pytest.raises(ValueError, match=r"0\.weight \(4, 3\) has 3: leave them out with exclude"):
        Structured24Pruner().prune_model(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4)))


def test_channel_orders_keep_more_in_every_layer() -> None:
    pruner = Structured24Pruner()
    model = nn.Sequential(net(), nn.Conv1d(8, 8, 1, groups=2))
    orders = pruner.channel_orders(model)
    assert list(orders) == ["0.0.weight", "0.1.weight", "0.2.weight"]
    assert all(order.after >= order.before for order in orders.values())
    last = orders["0.2.weight"]
    assert verify_n_of_m(last.mask[:, last.order], 2, 4)
    assert last.gained > 0
