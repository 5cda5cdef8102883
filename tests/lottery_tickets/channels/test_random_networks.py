"""Random small networks of every kind of joint: what a plan promises holds in all of them."""

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery_tickets import apply, is_subset
from lottery_tickets.channels import channel_groups, compact, prune_channels

Awake = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Step:
    """A layer, which maps it takes, and how they are joined."""

    kind: str
    sources: tuple[int, ...]
    width: int


class Net(nn.Module):
    """Steps on maps of 6 x 6, any of the maps so far as input; then flattened or averaged, and a linear layer."""

    def __init__(self, steps: list[Step], flatten: bool, shared: bool) -> None:
        super().__init__()
        self.steps = steps
        self.flatten = flatten
        widths = [3]
        self.layers = nn.ModuleList()
        for step in steps:
            before = widths[step.sources[0]]
            if step.kind == "cat":
                widths.append(sum(widths[s] for s in step.sources))
                self.layers.append(nn.Identity())
            elif step.kind == "add":
                projections = [nn.Conv2d(widths[s], step.width, 1) for s in step.sources]
                self.layers.append(nn.ModuleList(projections))
                widths.append(step.width)
            elif step.kind == "residual":
                inner = nn.Sequential(
                    nn.Conv2d(before, step.width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(step.width),
                    nn.ReLU(),
                    nn.Conv2d(step.width, before, 3, padding=1),
                )
                self.layers.append(inner)
                widths.append(before)
            elif step.kind == "depthwise":
                self.layers.append(nn.Conv2d(before, 2 * before, 3, padding=1, groups=before))
                widths.append(2 * before)
            elif step.kind == "norm":
                norm = (
                    nn.GroupNorm(before // 2, before) if before % 2 == 0 else nn.BatchNorm2d(before)
                )
                self.layers.append(norm)
                widths.append(before)
            elif step.kind == "shuffle":
                self.layers.append(nn.Conv2d(before, 4 * step.width, 1))
                widths.append(step.width)
            else:
                self.layers.append(nn.Conv2d(before, step.width, 3, padding=1))
                widths.append(step.width)
        if shared:  # the same layer after the last map, twice
            self.again = nn.Conv2d(widths[-1], widths[-1], 1)
        self.shared = shared
        self.last = nn.Linear(widths[-1] * (36 if flatten else 1), 2)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for step, layer in zip(self.steps, self.layers, strict=True):
            taken = [maps[source] for source in step.sources]
            if step.kind == "cat":
                made = torch.cat(taken, dim=1)
            elif step.kind == "add":
                made = sum(
                    (one(x) for one, x in zip(layer, taken, strict=True)), start=torch.zeros(())
                )
            elif step.kind == "residual":
                made = torch.relu(layer(taken[0]) + taken[0])
            elif step.kind == "shuffle":
                made = nn.functional.avg_pool2d(nn.functional.pixel_shuffle(layer(taken[0]), 2), 2)
            else:
                made = nn.functional.leaky_relu(layer(taken[0]))
            maps.append(made)
        x = maps[-1]
        if self.shared:
            x = torch.relu(self.again(torch.relu(self.again(x))))
        return self.last(x.flatten(1) if self.flatten else x.mean((2, 3)))


KINDS = ("conv", "conv", "cat", "add", "residual", "depthwise", "norm", "shuffle")


@st.composite
def nets(draw: st.DrawFn) -> Net:
    steps = [Step("conv", (0,), draw(st.integers(2, 6)))]
    for place in range(1, draw(st.integers(1, 6)) + 1):
        kind = draw(st.sampled_from(KINDS))
        count = draw(st.integers(2, 3)) if kind in ("cat", "add") else 1
        sources = tuple(draw(st.integers(max(0, place - 2), place)) for _ in range(count))
        steps.append(Step(kind, sources, draw(st.integers(1, 6))))
    return Net(steps, draw(st.booleans()), draw(st.booleans()))


@settings(max_examples=40)
@given(
    net=nets(),
    target=st.floats(0, 0.9),
    scope=st.sampled_from(("global", "layer")),
    seed=st.integers(0, 99),
)
def test_plans_keep_their_promises(
    awake: Awake, net: Net, target: float, scope: str, seed: int
) -> None:
    awake(net)
    example = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    options = {"score": "random", "scope": scope, "of": "channels"}
    draw = torch.Generator().manual_seed(seed)
    told = ""
    try:
        plan = prune_channels(net, example, target_sparsity=target, generator=draw, **options)
    except ValueError as problem:
        told = str(problem)
    if told:
        assert "the largest reachable here is" in told or "no channel" in told
        return
    groups = plan.groups
    # Exactly as many as asked for, and none of the groups empty.
    left, all_ = plan.left("channels")
    assert all_ - left == round(target * all_)
    assert all(bool(kept.any()) for kept in plan.kept.values())

    # The same answer as with the mask, and the sizes as predicted.
    smaller = compact(net, plan, verify=False)
    masked = copy.deepcopy(net)
    apply(masked, plan.mask)
    with torch.no_grad():
        expected, found = masked.eval()(example), smaller.eval()(example)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert sum(p.numel() for p in smaller.parameters()) == plan.left("parameters")[0]
    assert plan.left("weights")[0] == sum(int(kept.sum()) for kept in plan.mask.values())
    cut = plan.cut(dict(net.named_parameters()))
    assert all(torch.equal(cut[name], p) for name, p in smaller.named_parameters())

    # Done again, nothing more goes; and further on, nothing comes back.
    again = prune_channels(
        net, example, target_sparsity=target, mask=plan.mask, generator=draw, **options
    )
    assert all(torch.equal(kept, plan.kept[name]) for name, kept in again.kept.items())
    if left - len(groups.groups) > 0:
        more = (all_ - left + 1) / all_
        further = prune_channels(
            net, example, target_sparsity=more, mask=plan.mask, generator=draw, **options
        )
        assert is_subset(further.mask, plan.mask)
        assert further.left("channels")[0] == left - 1

    # The smaller network can be analysed and cut again: with nothing to remove it is the same.
    if channel_groups(smaller, example).groups:
        once_more = compact(smaller, prune_channels(smaller, example, target_sparsity=0))
        assert all(map(torch.equal, smaller.parameters(), once_more.parameters()))


@settings(max_examples=25)
@given(net=nets(), seed=st.integers(0, 99), sparsity=st.floats(0.3, 0.95))
def test_dead_channels_of_any_mask_go_without_a_trace(
    awake: Awake, net: Net, seed: int, sparsity: float
) -> None:
    """Random masks with rows and columns cut as well: compacted, the network answers as masked."""
    awake(net)
    draw = torch.Generator().manual_seed(seed)
    example = torch.rand(2, 3, 6, 6, generator=draw)
    other = torch.randn(2, 3, 6, 6, generator=draw)
    mask = {}
    for name, weight in net.named_parameters():
        if weight.dim() > 1:
            kept = torch.rand(weight.shape, generator=draw) > sparsity
            kept[torch.rand(weight.shape[0], generator=draw) < 0.3] = False
            kept[:, torch.rand(weight.shape[1], generator=draw) < 0.3] = False
            mask[name] = kept
        elif name.endswith("bias") and seed % 2:
            nn.init.zeros_(weight)
    smaller = compact(net, mask, example, verify=False)
    masked = copy.deepcopy(net)
    apply(masked, mask)
    with torch.no_grad():
        for images in (example, other):  # an input it has not seen, too
            expected, found = masked.eval()(images), smaller.eval()(images)
            scale = max(float(expected.abs().max()), 1e-6)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * scale)
    assert all(0 not in p.shape for p in smaller.parameters())


def test_the_random_networks_are_of_every_kind() -> None:
    """So that the properties above say something."""
    steps = [Step(kind, (0,) if kind != "cat" else (0, 1), 4) for kind in dict.fromkeys(KINDS)]
    steps = [
        Step(s.kind, tuple(min(i, n) for n in s.sources), s.width) for i, s in enumerate(steps)
    ]
    for flatten, shared in itertools.product((False, True), repeat=2):
        assert Net(steps, flatten, shared)(torch.rand(1, 3, 6, 6)).shape == (1, 2)
