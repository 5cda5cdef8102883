"""Every family of networks that people prune: the compacted one is smaller by what the plan says, and answers alike."""

import copy
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from lottery_tickets import apply
from lottery_tickets.channels import channel_groups, compact, prune_channels
from ticketsmith.engine import models
from ticketsmith.experiment.spec import ModelSpec

Awake = Callable[[nn.Module], nn.Module]


def registry(name: str, *shape: int, **options: object) -> Callable[[], nn.Module]:
    spec = ModelSpec(name=name, options=options)
    return lambda: models.build(spec, shape, 10)  # type: ignore[arg-type]


def zoo(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, num_classes=10)


NETWORKS = [
    pytest.param(registry("lenet300", 1, 28, 28), (1, 28, 28), 400, id="lenet300"),
    pytest.param(registry("lenet5", 1, 28, 28), (1, 28, 28), 6 + 16 + 120 + 84, id="lenet5"),
    pytest.param(registry("conv4", 3, 32, 32), (3, 32, 32), 384, id="conv4"),
    pytest.param(registry("resnet20", 3, 32, 32), (3, 32, 32), 400, id="resnet20-padded"),
    pytest.param(
        registry("resnet20", 3, 32, 32, shortcut="projection"),
        (3, 32, 32),
        448,
        id="resnet20-projected",
    ),
    pytest.param(registry("vgg16_cifar", 3, 32, 32), (3, 32, 32), 4224, id="vgg16-cifar"),
    pytest.param(zoo("resnet18"), (3, 64, 64), 2880, id="resnet18"),
    pytest.param(zoo("resnet50"), (3, 64, 64), 11456, id="resnet50"),
    pytest.param(zoo("mobilenet_v2"), (3, 64, 64), 9128, id="mobilenet-v2"),
    pytest.param(zoo("squeezenet1_1"), (3, 64, 64), 2944, id="squeezenet"),
    pytest.param(zoo("shufflenet_v2_x0_5"), (3, 64, 64), None, id="shufflenet"),
    pytest.param(
        zoo("efficientnet_b0"), (3, 64, 64), 11404, id="efficientnet", marks=pytest.mark.slow
    ),
    pytest.param(
        zoo("regnet_x_400mf"), (3, 64, 64), None, id="regnet-grouped", marks=pytest.mark.slow
    ),
    pytest.param(zoo("densenet121"), (3, 64, 64), 10240, id="densenet", marks=pytest.mark.slow),
    pytest.param(zoo("vgg11_bn"), (3, 224, 224), 10944, id="vgg11", marks=pytest.mark.slow),
    pytest.param(zoo("convnext_tiny"), (3, 64, 64), None, id="convnext", marks=pytest.mark.slow),
    pytest.param(zoo("swin_t"), (3, 64, 64), None, id="swin", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("build", "shape", "channels"), NETWORKS)
def test_the_compacted_network_answers_as_the_masked_one(
    awake: Awake, build: Callable[[], nn.Module], shape: tuple[int, ...], channels: int | None
) -> None:
    model = awake(build()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    example = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    groups = channel_groups(model, example)
    assert channels is None or groups.channels == channels
    plan = prune_channels(
        model, example, target_sparsity=0.25, of="macs", normalize=True, groups=groups
    )
    smaller = compact(model, plan, verify=False)

    masked = copy.deepcopy(model)
    apply(masked, plan.mask)
    with torch.no_grad():
        dense, expected, found = (net.eval()(example) for net in (model, masked, smaller))
    scale = expected.abs().max()
    torch.testing.assert_close(found, expected, rtol=0, atol=float(1e-4 * scale))
    assert float((dense - expected).abs().max()) > 1e-2 * scale, "nothing was pruned"
    left, all_ = plan.left("parameters")
    assert sum(p.numel() for p in smaller.parameters()) == left
    assert sum(p.numel() for p in model.parameters()) == all_
    kept = sum(int(tensor.sum()) for tensor in plan.mask.values())
    assert plan.left("weights") == (kept, sum(tensor.numel() for tensor in plan.mask.values()))
    assert plan.left("macs")[0] <= 0.75 * plan.left("macs")[1]
    for module in smaller.modules():
        if isinstance(module, nn.Conv2d):
            assert 0 < module.out_channels == module.weight.shape[0]
            assert module.in_channels == module.weight.shape[1] * module.groups
    assert type(smaller) is type(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_smaller_network_trains_and_keeps_its_mode() -> None:
    torch.manual_seed(0)
    model = registry("resnet20", 3, 16, 16)().train()
    model.stages[0].eval()
    example = torch.rand(4, 3, 16, 16)
    smaller = compact(model, prune_channels(model, example, target_sparsity=0.5))
    assert smaller.training
    assert not smaller.stages[0].training
    smaller.train()
    smaller(example).square().mean().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in smaller.parameters())


def test_a_residual_stage_is_one_group_with_its_shortcut() -> None:
    groups = channel_groups(registry("resnet18_cifar", 3, 32, 32)(), torch.rand(1, 3, 32, 32))
    assert len(groups.groups) == 12
    assert groups.channels == 2 * (64 + 128 + 256 + 512) * 2 - 960
    stage = groups["stages.1.0.conv2"]
    made = {m.name for m in stage.members if m.role == "rows"}
    assert made == {f"stages.1.{part}.weight" for part in ("0.conv2", "0.shortcut.0", "1.conv2")}
    read = {m.name for m in stage.members if m.role == "columns"}
    assert read == {
        f"stages.{part}.weight" for part in ("1.1.conv1", "2.0.conv1", "2.0.shortcut.0")
    }


def test_a_flattened_map_gives_each_channel_a_block_of_columns() -> None:
    groups = channel_groups(registry("lenet5", 1, 28, 28)(), torch.rand(1, 1, 28, 28))
    reading = next(m for m in groups["conv2"].members if m.role == "columns")
    assert (reading.name, reading.dim, reading.times) == ("fc1.weight", 1, 25)
    assert torch.equal(reading.channel, torch.arange(16).repeat_interleave(25))
