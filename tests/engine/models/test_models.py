"""Networks by name: exact sizes, shapes, repeatable weights, and refusals in one sentence."""

import re

import pytest
import torch
from torch import nn

from ticketsmith.engine import models
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ModelSpec

MNIST = (1, 28, 28)
CIFAR = (3, 32, 32)
IMAGENET = (3, 224, 224)

COUNTS = [
    ("lenet300", MNIST, 10, 266_610),
    ("lenet5", MNIST, 10, 61_706),
    ("mnist_cnn", MNIST, 10, 1_199_882),
    ("conv2", CIFAR, 10, 88_986),
    ("conv4", CIFAR, 10, 342_090),
    ("conv6", CIFAR, 10, 1_122_858),
    ("paper_conv2", CIFAR, 10, 4_301_642),
    ("paper_conv4", CIFAR, 10, 2_425_930),
    ("paper_conv6", CIFAR, 10, 2_262_602),
    ("resnet20", CIFAR, 10, 269_722),
    ("resnet18_cifar", CIFAR, 10, 11_173_962),
    ("vgg16_cifar", CIFAR, 10, 14_724_042),
    ("vgg19_cifar", CIFAR, 10, 20_035_018),
    ("vgg11", IMAGENET, 1000, 132_863_336),
    ("vgg13", IMAGENET, 1000, 133_047_848),
    ("vgg16", IMAGENET, 1000, 138_357_544),
    ("vgg19", IMAGENET, 1000, 143_667_240),
    ("resnet18", IMAGENET, 1000, 11_689_512),
    ("resnet34", IMAGENET, 1000, 21_797_672),
    ("resnet50", IMAGENET, 1000, 25_557_032),
    ("resnet101", IMAGENET, 1000, 44_549_160),
]
SMALL = ["lenet300", "lenet5", "mnist_cnn", "conv2", "conv4", "conv6", "resnet20"]

Shape = tuple[int, int, int]


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def seeded(name: str, shape: Shape, seed: int, **options: object) -> nn.Module:
    torch.manual_seed(seed)
    return models.build(ModelSpec(name=name, options=options), shape, 10)


@pytest.mark.parametrize(("name", "shape", "classes", "count"), COUNTS)
def test_parameters_are_counted_exactly(name: str, shape: Shape, classes: int, count: int) -> None:
    with torch.device("meta"):
        network = models.build(ModelSpec(name=name), shape, classes)
        assert network(torch.empty(2, *shape)).shape == (2, classes)
    assert size(network) == count


def test_every_name_is_counted() -> None:
    assert [name for name, *_ in COUNTS] == models.names()


@pytest.mark.parametrize("name", [n for n, a in models.ARCHITECTURES.items() if not a.pretrained])
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_sizes_from_the_smallest_on_are_taken(name: str, extra: int) -> None:
    side = models.ARCHITECTURES[name].smallest + extra
    with torch.device("meta"):
        network = models.build(ModelSpec(name=name), (3, side, side + 2), 7)
        assert network(torch.empty(2, 3, side, side + 2)).shape == (2, 7)


@pytest.mark.parametrize("name", [n for n, a in models.ARCHITECTURES.items() if a.smallest > 1])
def test_smaller_images_are_refused_with_the_remedy(name: str) -> None:
    side = models.ARCHITECTURES[name].smallest - 1
    with pytest.raises(BadSpec, match=rf"'{name}' needs .*{side}x.*dataset\.options\.size"):
        models.check(ModelSpec(name=name), (1, side, side))


def test_lenet5_on_digits_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"at least 12x12 pixels.*8x8.*dataset\.options\.size.*28"):
        models.build(ModelSpec(name="LeNet5"), (1, 8, 8), 10)


@pytest.mark.parametrize("name", SMALL)
def test_weights_follow_the_seed(name: str) -> None:
    shape = models.ARCHITECTURES[name].usual
    one, same, other = (seeded(name, (3, shape, shape), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", SMALL)
def test_a_real_batch_gives_finite_logits_and_gradients(name: str) -> None:
    side = models.ARCHITECTURES[name].usual
    network = seeded(name, (1, side, side), 0)
    logits = network(torch.randn(4, 1, side, side))
    assert logits.shape == (4, 10)
    logits.logsumexp(1).sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_lenet300_starts_as_the_paper_says() -> None:
    network = seeded("lenet300", MNIST, 0)
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    assert names == ["fc1", "fc2", "fc3"]
    weight = network.get_parameter("fc1.weight")
    assert float(weight.detach().std()) == pytest.approx((2 / (784 + 300)) ** 0.5, rel=0.01)
    kurtosis = ((weight / weight.std()) ** 4).mean().item()
    assert kurtosis == pytest.approx(3, abs=0.1)  # normal, not uniform (1.8)
    assert not any(network.get_parameter(f"{name}.bias").any() for name in names)


def test_the_layouts_behind_the_totals() -> None:
    def shapes(name: str) -> list[tuple[int, ...]]:
        with torch.device("meta"):
            network = models.build(ModelSpec(name=name), CIFAR, 10)
        return [tuple(p.shape) for p in network.parameters() if p.dim() > 1]

    assert shapes("conv2") == [(16, 3, 5, 5), (16, 16, 3, 3), (320, 256), (10, 320)]
    assert shapes("conv4")[-1] == (10, 8192)
    assert [s[0] for s in shapes("conv6")] == [48, 48, 48, 96, 96, 192, 256, 10]
    assert [s[0] for s in shapes("paper_conv6")] == [64, 64, 128, 128, 256, 256, 256, 256, 10]


def test_identity_shortcuts_add_channels_of_zeros() -> None:
    network = seeded("resnet20", CIFAR, 0)
    shortcut = network.get_submodule("stages.1.0.shortcut")
    features = torch.randn(2, 16, 8, 8)
    result = shortcut(features)
    assert result.shape == (2, 32, 4, 4)
    assert torch.equal(result[:, 8:24], features[:, :, ::2, ::2])
    assert not result[:, :8].any()
    assert not result[:, 24:].any()


def test_resnet20_with_projections() -> None:
    assert size(seeded("resnet20", CIFAR, 0, shortcut="projection")) == 272_474
    with pytest.raises(
        BadSpec, match=r"model\.options\.shortcut is 'none'.*identity or projection"
    ):
        models.check(ModelSpec(name="resnet20", options={"shortcut": "none"}))


@pytest.mark.parametrize(
    "name",
    ["LeNet300", "LENET300", "lenet-300", "Paper_Conv4", "paper-conv4", "ResNet-20", "ResNet18"],
)
def test_names_are_taken_in_any_case(name: str) -> None:
    models.check(ModelSpec(name=name))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "lenet30"}, ["model.name 'lenet30'", "lenet300", "lenet5"]),
        ({"name": "zzz"}, ["model.name 'zzz'", "resnet20", "torchvision:NAME"]),
        ({"name": "torchvision:resnet19"}, ["'torchvision:resnet19'", "torchvision:resnet18"]),
        ({"name": "timm:resnet18"}, ["model.name 'timm:resnet18'"]),
        ({"options": {"depth": 3}}, ["model.options.depth", "num_classes"]),
        ({"name": "resnet20", "options": {"depth": 3}}, ["model.options.depth", "shortcut"]),
        ({"name": "vgg11", "options": {"drop": 3}}, ["model.options.drop", "dropout"]),
        ({"name": "vgg11", "options": {"dropout": 3}}, ["model.options", "dropout", "between"]),
        ({"options": {"num_classes": "ten"}}, ["model.options.num_classes", "'ten'"]),
        ({"weights": "DEFAULT"}, ["model.weights DEFAULT", "torchvision"]),
        ({"weights": "net.pt"}, ["model.weights 'net.pt'", ".safetensors"]),
        ({"weights": "no.safetensors"}, ["model.weights 'no.safetensors'", "does not exist"]),
    ],
)
def test_a_wrong_spec_is_refused_in_one_sentence(spec: dict[str, object], words: list[str]) -> None:
    with pytest.raises(BadSpec) as refused:
        models.check(ModelSpec.model_validate({"name": "lenet300"} | spec))
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_more_classes_than_the_data_has_are_allowed_and_fewer_are_not() -> None:
    assert seeded("lenet300", MNIST, 0, num_classes=12)(torch.zeros(1, *MNIST)).shape == (1, 12)
    with pytest.raises(BadSpec, match=r"num_classes is 3, but the data has 10 classes"):
        seeded("lenet300", MNIST, 0, num_classes=3)


def test_checking_uses_neither_random_numbers_nor_memory() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    models.check(ModelSpec(name="vgg19"), IMAGENET, 1000)
    assert torch.equal(before, torch.get_rng_state())


def test_sentences_name_one_remedy() -> None:
    with pytest.raises(BadSpec) as refused:
        models.check(ModelSpec(name="resnet18"), MNIST, 10)
    assert re.search(r"1 channel.*dataset\.options\.grayscale", str(refused.value))
