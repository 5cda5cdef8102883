"""Channel scores against sums written out by hand."""

import torch
from torch import Tensor, nn

from lottery_tickets.channels import (
    channel_groups,
    channel_scores,
    channel_taylor,
    prune_channels,
)

EXAMPLE = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))


def residual() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
            self.second, self.last = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6 * 25, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.first(x)).relu()
            return self.last((x + self.second(x)).flatten(1))

    torch.manual_seed(1)
    net = Net()
    nn.init.uniform_(net.norm.weight)
    return net


def by_hand(tensors: dict[str, Tensor], power: int) -> Tensor:
    first, second, last = (
        tensors[f"{n}.weight"].abs() ** power for n in ("first", "second", "last")
    )
    blocks = last.view(2, 6, 25).sum((0, 2))
    return first.sum((1, 2, 3)) + second.sum((1, 2, 3)) + second.sum((0, 2, 3)) + blocks


def test_norms_over_every_slice_of_a_channel() -> None:
    model = residual()
    groups = channel_groups(model, EXAMPLE)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    close = torch.testing.assert_close
    close(channel_scores(model, groups)["first"].float(), by_hand(weights, 2).sqrt())
    close(channel_scores(model, groups, "l1")["first"].float(), by_hand(weights, 1))
    close(
        channel_scores(model, groups, "bn_scale")["first"].float(), model.norm.weight.detach().abs()
    )
    own = {name: torch.rand_like(p) for name, p in weights.items()}
    close(channel_scores(model, groups, own)["first"].float(), by_hand(own, 1))
    even = channel_scores(model, groups, normalize=True)["first"]
    assert abs(float(even.mean()) - 1) < 1e-12


def test_random_scores_follow_the_generator_alone() -> None:
    model = residual()
    groups = channel_groups(model, EXAMPLE)
    one, same, other = (
        channel_scores(model, groups, "random", generator=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    )
    assert torch.equal(one["first"], same["first"])
    assert not torch.equal(one["first"], other["first"])


def test_taylor_scores_of_groups_by_hand() -> None:
    model = residual().train()
    model.second.weight.requires_grad_(False)
    model.first.weight.grad = torch.ones_like(model.first.weight)
    groups = channel_groups(model, EXAMPLE)
    labels = torch.tensor([0, 1])
    loader = [(EXAMPLE, labels), (EXAMPLE.flip(0) * 2, labels)]
    found = channel_taylor(model, loader, groups)["first"]
    assert model.training
    assert not model.second.weight.requires_grad
    assert torch.equal(model.first.weight.grad, torch.ones_like(model.first.weight))

    model.eval().requires_grad_(True)
    expected = torch.zeros(6)
    for images, targets in loader:
        model.zero_grad()
        nn.functional.cross_entropy(model(images), targets).backward()
        sums = {
            n: (p * p.grad).detach()
            for n, p in model.named_parameters()
            if not n.startswith("last")
        }
        expected += sum(s.reshape(6, -1).sum(1) for s in sums.values()) ** 2 / 2
    torch.testing.assert_close(found.float(), expected)
    plan = prune_channels(
        model, EXAMPLE, target_sparsity=0.5, of="channels", score={"first": found}
    )
    assert torch.equal(plan.kept["first"], found > found.sort().values[2])
