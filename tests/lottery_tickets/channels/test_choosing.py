"""Which channels go, how many exactly, and what wrong wishes are told."""

import itertools
import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets.channels import (
    channel_groups,
    channel_scores,
    compact,
    dead_channels,
    prune_channels,
    random_channels_like,
)

EXAMPLE = torch.rand(1, 4, generator=torch.Generator().manual_seed(0))


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers 0, 2, 4, ... with ReLU between them."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def removed(plan: Any) -> dict[str, list[int]]:
    return {name: (~kept).nonzero().squeeze(1).tolist() for name, kept in plan.kept.items()}


SCORES = {"0": torch.tensor([3.0, 1, 2, 6, 5, 4]), "2": torch.tensor([7.0, 8, 0, 9])}


def chosen(target: float, **options: Any) -> dict[str, list[int]]:
    options = {"of": "channels", "score": SCORES} | options
    return removed(prune_channels(mlp(4, 6, 4, 2), EXAMPLE, target_sparsity=target, **options))


def test_the_lowest_scores_go() -> None:
    assert chosen(0) == {"0": [], "2": []}
    assert chosen(0.4) == {"0": [0, 1, 2], "2": [2]}
    assert chosen(0.4, scope="layer") == {"0": [1, 2], "2": [0, 2]}
    assert chosen(0.5, scope="layer") == {"0": [0, 1, 2], "2": [0, 2]}


def test_of_equal_scores_the_last_go() -> None:
    even = {"0": torch.ones(6), "2": torch.ones(4)}
    assert chosen(0.3, score=even) == {"0": [], "2": [1, 2, 3]}
    assert chosen(0.4, score=even) == {"0": [5], "2": [1, 2, 3]}


def test_some_of_each_layer_stay() -> None:
    assert chosen(0.8) == {"0": [0, 1, 2, 4, 5], "2": [0, 1, 2]}
    assert chosen(0.6, min_channels=2) == {"0": [0, 1, 2, 5], "2": [0, 2]}
    with pytest.raises(ValueError, match=re.escape("the largest reachable here is 0.8 ")):
        chosen(0.9)
    with pytest.raises(ValueError, match=re.escape("the largest reachable here is 0.6 ")):
        chosen(0.7, min_channels=2)


def test_groups_at_their_own_rate() -> None:
    assert chosen(0.3, rate_factors={"0": 0}) == {"0": [], "2": [0, 1, 2]}
    # A third of six at rate 1, against a quarter, near a sixth, of four at half the rate.
    assert chosen(0.3, rate_factors={"2": 0.5}) == {"0": [1, 2], "2": [2]}
    with pytest.raises(ValueError, match="two rate factors"):
        chosen(0.3, rate_factors={"0": 1, "0.weight": 2})
    with pytest.raises(ValueError, match="use a number from 0 up"):
        chosen(0.3, rate_factors={"0": math.nan})
    with pytest.raises(ValueError, match="matches no prunable weight"):
        chosen(0.3, rate_factors={"7": 1})


@pytest.mark.parametrize("of", ["weights", "parameters", "macs"])
@pytest.mark.parametrize("target", [0.1, 0.37, 0.8])
def test_the_fewest_that_reach_the_target_go(of: str, target: float) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d
    model = nn.Sequential(
        conv(3, 9, 3),
        nn.ReLU(),
        conv(9, 7, 3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(28, 5),
        nn.Linear(5, 2),
    )
    example = torch.rand(1, 3, 8, 8)
    plan = prune_channels(model, example, target_sparsity=target, of=of)
    left, all_ = plan.left(of)
    assert all_ - left >= round(target * all_)
    # One channel fewer, the one that went last, would not do.
    scores = channel_scores(model, plan.groups)
    last = max((float(scores[n][~k].max()), n) for n, k in plan.kept.items() if not k.all())
    fewer = {name: kept.clone() for name, kept in plan.kept.items()}
    fewer[last[1]][(scores[last[1]] == last[0]).nonzero()[0]] = True
    count = int((~torch.cat([*fewer.values()])).sum())
    one_less = prune_channels(
        model, example, target_sparsity=count / plan.groups.channels, of="channels"
    )
    assert removed(one_less) == {
        name: (~kept).nonzero().squeeze(1).tolist() for name, kept in fewer.items()
    }
    assert one_less.left(of)[1] - one_less.left(of)[0] < round(target * all_)


def test_multiply_adds_are_those_of_the_layers() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(8, 2)
    )
    plan = prune_channels(model, torch.rand(2, 3, 7, 7), target_sparsity=0.5, of="channels")
    assert plan.left("macs") == (2 * (9 * 27 * 4 + 9 * 4 + 4 * 2), 2 * (9 * 27 * 8 + 9 * 8 + 8 * 2))


@pytest.mark.parametrize("target", [0.01, 0.3, 0.6])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_widths_are_multiples_where_that_is_asked(target: float, scope: Any) -> None:
    model = mlp(4, 30, 16, 3, 2)
    plan = prune_channels(model, EXAMPLE, target_sparsity=target, scope=scope, round_to=8)
    widths = {name: int(kept.sum()) for name, kept in plan.kept.items()}
    assert widths["0"] in (30, 24, 16, 8)
    assert widths["2"] in (16, 8)
    assert widths["4"] == 3, "has fewer than eight"
    assert plan.sparsity >= target
    compact(model, plan)


def test_excluded_layers_lose_neither_rows_nor_columns() -> None:
    model = mlp(4, 6, 5, 4, 2)
    plan = prune_channels(model, EXAMPLE, target_sparsity=0.3, exclude=["2"])
    assert [g.name for g in plan.groups.groups] == ["4"]
    assert plan.groups.untouched["0"].why == "2.weight is excluded"
    assert list(plan.mask) == ["0.weight", "4.weight", "6.weight"]
    kept = sum(int(m.sum()) for m in plan.mask.values())
    assert plan.left("weights") == (kept, 24 + 20 + 8)
    with pytest.raises(ValueError, match="matches no prunable weight"):
        prune_channels(model, EXAMPLE, target_sparsity=0.3, exclude=["fc"])


def test_levels_are_nested() -> None:
    model = mlp(4, 12, 9, 2)
    groups = channel_groups(model, EXAMPLE)
    mask = None
    for target in (0.2, 0.4, 0.6):
        draw = torch.Generator().manual_seed(int(target * 10))
        plan = prune_channels(
            model,
            EXAMPLE,
            target_sparsity=target,
            score="random",
            mask=mask,
            generator=draw,
            groups=groups,
        )
        assert mask is None or not any(bool((plan.mask[n] & ~mask[n]).any()) for n in mask)
        assert plan.sparsity >= target
        mask = plan.mask
        same = prune_channels(model, EXAMPLE, target_sparsity=target, mask=mask)
        assert removed(same) == removed(plan), "the target is reached"
    with pytest.raises(ValueError, match="that is already pruned"):
        prune_channels(model, EXAMPLE, target_sparsity=0.3, mask=mask)
    uneven = {name: kept.clone() for name, kept in mask.items()}
    uneven["0.weight"][mask["0.weight"].any(1).nonzero()[0], 1] = False
    with pytest.raises(ValueError, match=re.escape("prunes single weights of 0.weight")):
        prune_channels(model, EXAMPLE, target_sparsity=0.8, mask=uneven)


def test_a_random_plan_keeps_as_many_of_each_group() -> None:
    model = mlp(4, 12, 9, 5, 2)
    ticket = prune_channels(model, EXAMPLE, target_sparsity=0.3, exclude=["6"])
    one, same, other = (
        random_channels_like(
            model, EXAMPLE, ticket.mask, torch.Generator().manual_seed(seed), exclude=["6"]
        )
        for seed in (0, 0, 1)
    )
    for plan in (one, other):
        counts = {name: int(kept.sum()) for name, kept in plan.kept.items()}
        assert counts == {name: int(kept.sum()) for name, kept in ticket.kept.items()}
        assert plan.sparsity == ticket.sparsity
        assert list(plan.mask) == list(ticket.mask)
    assert removed(one) == removed(same)
    assert removed(one) != removed(other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_sparsity": 1.0}, "target_sparsity is 1.0: use a fraction in [0, 1)"),
        ({"target_sparsity": -0.1}, "use a fraction in [0, 1)"),
        ({"of": "flops"}, "of is 'flops': use 'weights', 'channels', 'parameters', 'macs'"),
        ({"scope": "block"}, "scope is 'block': use 'global' or 'layer'"),
        ({"round_to": 0}, "round_to is 0"),
        ({"min_channels": 0}, "min_channels is 0: a layer needs 1 or more"),
        ({"score": "snip"}, "score is 'snip': use 'magnitude'"),
        ({"score": "random"}, "needs a generator"),
        ({"score": "bn_scale"}, "the channels of '0' pass no batch norm"),
        ({"score": {"0.weight": torch.ones(6, 4)}}, "score lacks 2.weight, 4.weight"),
        (
            {"score": {"0": torch.ones(5), "2": torch.ones(4)}},
            "scores of 0 are not one number a channel",
        ),
        (
            {"score": {"0": torch.ones(6), "2": torch.tensor([1, math.nan, 1, 1])}},
            "channel 1 of '2' is NaN",
        ),
        ({"mask": {"0.weight": torch.ones(6, 4).bool()}}, "'2.weight' has no mask"),
    ],
)
def test_wrong_wishes_are_told_the_remedy(options: dict[str, Any], words: str) -> None:
    options = {"target_sparsity": 0.3} | options
    with pytest.raises(ValueError, match=re.escape(words)) as told:
        prune_channels(mlp(4, 6, 4, 2), EXAMPLE, **options)
    assert "\n" not in str(told.value)


def test_wrong_inputs_are_told_the_remedy() -> None:
    model = mlp(4, 6, 4, 2)
    with pytest.raises(ValueError, match="the network does not run on example_inputs"):
        prune_channels(model, torch.rand(1, 5), target_sparsity=0.3)
    with pytest.raises(
        ValueError,
        match="no channel of this network may be removed: 0, whose channels stay because",
    ):
        prune_channels(nn.Sequential(nn.Linear(4, 2)), EXAMPLE, target_sparsity=0.3)
    groups = channel_groups(model, EXAMPLE)
    with pytest.raises(ValueError, match="give exclude to channel_groups alone"):
        prune_channels(model, EXAMPLE, target_sparsity=0.3, groups=groups, exclude=["0"])
    plan = prune_channels(model, EXAMPLE, target_sparsity=0.3)
    with pytest.raises(ValueError, match=re.escape("0.weight, 0.bias, 2.weight differ in shape")):
        compact(mlp(4, 7, 4, 2), plan)
    with pytest.raises(ValueError, match="example_inputs is None"):
        compact(model, plan.mask)
    with pytest.raises(ValueError, match=re.escape("0.weight do not have the shapes")):
        plan.cut({"0.weight": torch.ones(2, 2)})
    with pytest.raises(ValueError, match="the mask does not fit"):
        dead_channels(model, {"9.weight": torch.ones(2).bool()}, EXAMPLE)


def test_an_answer_that_differs_is_refused() -> None:
    class Sly(nn.Module):
        """Reads its own weights in a way that no torch function shows."""

        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.down(self.up(x)) * self.up.weight.untyped_storage().nbytes()

    model = Sly()
    plan = prune_channels(model, EXAMPLE, target_sparsity=0.4)
    with pytest.raises(ValueError, match=r"differs by .* give the module concerned in exclude"):
        compact(model, plan)
    assert compact(model, plan, verify=False).down.in_features < 6


def test_an_answer_that_does_not_come_is_refused() -> None:
    class Rigid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            if self.up.weight.untyped_storage().nbytes() != 96:
                raise RuntimeError("six, please")
            return self.down(self.up(x))

    plan = prune_channels(Rigid(), EXAMPLE, target_sparsity=0.4)
    with pytest.raises(ValueError, match=r"does not run \(RuntimeError: six, please\)"):
        compact(Rigid(), plan)
