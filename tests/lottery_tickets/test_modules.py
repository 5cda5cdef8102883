"""Which weights are prunable, and what patterns mean."""

import pytest
import torch
from torch import nn

from lottery_tickets import match, prunable
from lottery_tickets.modules import pieces


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.up = nn.ConvTranspose1d(4, 4, 2)
        self.norm = nn.LayerNorm(4)
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, 4)
        self.again = self.fc1
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.fc2.weight
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embed.weight


def test_weights_of_linear_and_convolution_once_in_parameter_order() -> None:
    model = Net()
    found = prunable(model)
    assert list(found) == ["stem.0.weight", "up.weight", "fc1.weight", "fc2.weight"]
    assert all(found[name] is dict(model.named_parameters())[name] for name in found)


def test_a_single_layer_is_a_network() -> None:
    assert list(prunable(nn.Linear(2, 3))) == ["weight"]


def test_meta_tensors_do() -> None:
    assert list(prunable(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to("meta"))) == [
        "0.weight"
    ]


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("fc1", ["fc1.weight"]),
        ("again", ["fc1.weight"]),
        ("tied", ["fc2.weight"]),
        ("fc?", ["fc1.weight", "fc2.weight"]),
        ("stem", ["stem.0.weight"]),
        ("stem.*", ["stem.0.weight"]),
        ("up.weight", ["up.weight"]),
        ("*", ["stem.0.weight", "up.weight", "fc1.weight", "fc2.weight"]),
    ],
)
def test_exclude(pattern: str, gone: list[str]) -> None:
    model = Net()
    left = prunable(model, [pattern])
    assert [name for name in prunable(model) if name not in left] == gone


@pytest.mark.parametrize(("pattern", "nearest"), [("fc3", "fc1"), ("FC1", "fc1"), ("norm", "stem")])
def test_a_pattern_without_a_match_is_refused_with_the_nearest(pattern: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"'{pattern}' matches no prunable weight.*{nearest}"):
        prunable(Net(), [pattern])


def test_match_maps_patterns_to_names() -> None:
    names = ["conv.weight", "block.fc.weight"]
    assert match(names, ["block", "*weight"]) == {"block": ["block.fc.weight"], "*weight": names}
    with pytest.raises(ValueError, match="there are none"):
        match([], ["x"])


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24).view(2, 3, 4),
        torch.arange(24).view(4, 6).t(),
        torch.arange(24).view(1, 4, 6).transpose(1, 2),
        torch.arange(48).view(4, 12)[:, ::2],
        torch.tensor(3),
        torch.zeros(0, 4),
        torch.zeros(4, 0).t(),
    ],
)
def test_pieces_are_the_flat_tensor(tensor: torch.Tensor, size: int) -> None:
    parts = list(pieces(tensor, size))
    assert all(part.dim() == 1 and 0 < len(part) <= size for part in parts if tensor.numel())
    joined = torch.cat(parts) if parts else tensor.reshape(-1)
    assert torch.equal(joined, tensor.reshape(-1))
