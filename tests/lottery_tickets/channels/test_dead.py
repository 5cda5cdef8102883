"""Channels that a mask has left without use."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets import full, prunable
from lottery_tickets.channels import compact, dead_channels

Awake = Callable[[nn.Module], nn.Module]
EXAMPLE = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def net() -> nn.Sequential:
    conv = nn.Conv2d
    return nn.Sequential(
        *(
            conv(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            conv(6, 5, 3, padding=1),
            nn.ReLU(),
        ),
        *(nn.Flatten(), nn.Linear(5 * 36, 2)),
    )


def kept(model: nn.Module, mask: dict[str, Tensor]) -> dict[str, list[bool]]:
    smaller = compact(model, mask, EXAMPLE)  # which compares the two
    plan = dead_channels(model, mask, EXAMPLE)
    assert sum(p.numel() for p in smaller.parameters()) == plan.left("parameters")[0]
    return {name: stays.tolist() for name, stays in plan.kept.items()}


def test_what_nothing_reads_goes_whatever_shifts_it(awake: Awake) -> None:
    model = awake(net())
    mask = full(prunable(model))
    mask["3.weight"][:, 2] = False
    assert kept(model, mask) == {"0": [True, True, False, True, True, True], "3": [True] * 5}


def test_a_channel_of_zero_goes_and_one_of_another_constant_stays(awake: Awake) -> None:
    model = awake(net())
    mask = full(prunable(model))
    mask["0.weight"][1:3] = False
    norm = model[1]
    # After the norm: channel 1 is below zero, so that the ReLU makes it zero; channel 2 is above.
    with torch.no_grad():
        shift = (
            (model[0].bias - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight
        )
        norm.bias[1], norm.bias[2] = -shift[1] - 0.5, -shift[2] + 0.5
    assert kept(model, mask)["0"] == [True, False, True, True, True, True]


def test_one_dead_channel_leaves_others_dead(awake: Awake) -> None:
    model = awake(net())
    mask = full(prunable(model))
    mask["6.weight"].view(2, 5, 36)[:, 3] = (
        False  # nothing reads channel 3 of the second convolution,
    )
    mask["3.weight"][:, 4] = False
    mask["3.weight"][3, 4] = True  # which alone reads channel 4 of the first
    assert kept(model, mask) == {
        "0": [True, True, True, True, False, True],
        "3": [True, True, True, False, True],
    }


def test_the_last_channel_stays(awake: Awake) -> None:
    model = awake(net())
    mask = {"3.weight": torch.zeros(5, 6, 3, 3, dtype=torch.bool)}
    assert sum(kept(model, mask)["0"]) == 1


def test_other_zeros_of_the_mask_are_zero_in_the_result(awake: Awake) -> None:
    model = awake(net())
    mask = {n: torch.rand(p.shape) > 0.5 for n, p in prunable(model).items()}
    smaller = compact(model, mask, EXAMPLE)
    plan = dead_channels(model, mask, EXAMPLE)
    for name, stays in plan.cut(mask).items():
        assert not smaller.get_parameter(name)[~stays].any()
        assert smaller.get_parameter(name)[stays].all()


def test_zero_on_the_example_alone_is_not_zero(awake: Awake) -> None:
    class Gated(nn.Module):
        """A map of one channel is added to all: without weights a channel still depends on the input."""

        def __init__(self) -> None:
            super().__init__()
            self.up, self.gate, self.last = (
                nn.Conv2d(3, 4, 1),
                nn.Conv2d(3, 1, 1),
                nn.Conv2d(4, 2, 1),
            )

        def forward(self, x: Tensor) -> Any:
            return self.last((self.up(x) + self.gate(x)).relu())

    model = awake(Gated())
    with torch.no_grad():
        model.up.bias.fill_(-100)
        model.gate.weight.fill_(1)
    mask = full(prunable(model))
    mask["up.weight"][1] = False
    plan = dead_channels(model, mask, EXAMPLE)
    assert plan.kept["up"].all()
