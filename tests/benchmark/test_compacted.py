"""Networks that lost whole channels are timed as they are, and with the channels cut out."""

import pytest
import torch
from torch import nn

import lottery_tickets
from lottery_tickets import channels
from ticketsmith.benchmark.paths import PATHS, CompactedPath, paths_for


def test_only_channels_are_worth_a_second_way() -> None:
    assert [path.name for path in paths_for("channel")] == ["dense", "compacted"]
    assert [path.name for path in paths_for("2:4")] == ["dense"]
    assert set(PATHS) == {"dense", "compacted"}


def test_what_runs_is_the_smaller_network(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    batch = torch.randn(3, 8)
    plan = channels.prune_channels(model, batch, target_sparsity=0.5)
    lottery_tickets.apply(model, plan.mask)
    ran: list[tuple[int, ...]] = []
    forward = nn.Linear.forward

    def watched(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        ran.append(tuple(layer.weight.shape))
        return forward(layer, x)

    wanted = model(batch)
    run = CompactedPath().prepare(model, batch)
    monkeypatch.setattr(nn.Linear, "forward", watched)
    run()
    assert ran == [(16, 8), (4, 16)]
    monkeypatch.undo()
    smaller = channels.compact(model, plan)
    assert torch.allclose(smaller(batch), wanted, atol=1e-6)
