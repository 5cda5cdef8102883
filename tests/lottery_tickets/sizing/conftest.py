"""Small networks, and the methods as they are called."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lottery_tickets as lt
from lottery_tickets.running import batch_loss

Call = Callable[[nn.Module, list[Any]], object]


class Language(nn.Module):
    """An embedding, attention and two linear layers: about 0.9 million weights."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(512, 256)
        self.qkv, self.out = nn.Linear(256, 768), nn.Linear(256, 256)
        self.up, self.down = nn.Linear(256, 1024), nn.Linear(1024, 256)
        self.norm = nn.LayerNorm(256)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.tokens(input_ids)
        parts = self.qkv(self.norm(x)).unflatten(-1, (3, 4, 64)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        x = x + self.down(functional.gelu(self.up(x)))
        logits = x @ self.tokens.weight.t()
        if labels is None:
            return {"logits": logits}
        return {"loss": functional.cross_entropy(logits.flatten(0, 1), labels.flatten())}


def language(dtype: torch.dtype) -> tuple[nn.Module, list[Any]]:
    drawn = torch.randint(0, 512, (2, 4, 32))
    return Language().to(dtype), [{"input_ids": ids, "labels": ids.flip(0)} for ids in drawn]


def convnet(dtype: torch.dtype) -> tuple[nn.Module, list[Any]]:
    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1, groups=4), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 1536), nn.ReLU()),
        nn.Linear(1536, 10),
    )
    data = [(torch.randn(8, 3, 16, 16, dtype=dtype), torch.randint(0, 10, (8,))) for _ in range(2)]
    return model.to(dtype), data


SAMPLE = 1 << 14

NETWORKS = {"language": language, "convnet": convnet}


def imp(make: Callable[..., torch.optim.Optimizer]) -> Call:
    def run(model: nn.Module, data: list[Any]) -> object:
        def train(network: nn.Module, mask: lt.PruningMask) -> None:
            optimizer = make(network.parameters(), lr=0.05)
            for batch in data:
                optimizer.zero_grad()
                batch_loss(network, batch).backward()
                optimizer.step()
                mask.apply(network)

        return lt.compute_iterative_magnitude_pruning(
            model, None, train, target_sparsity=0.5, pruning_rounds=2
        )

    return run


def early_bird(**options: Any) -> Call:
    return lambda model, data: lt.compute_early_bird_tickets(
        model, data, 5, convergence_threshold=1.0, lr=0.05, sample_size=SAMPLE, **options
    )


CALLS: dict[str, tuple[str, dict[str, Any], Call]] = {
    "magnitude": ("magnitude", {}, lambda m, _: lt.create_magnitude_mask(m, 0.5)),
    "random": (
        "random",
        {},
        lambda m, _: lt.importance(m, "random", generator=torch.Generator()),
    ),
    "gradient": ("gradient", {}, lambda m, d: lt.gradient(m, d)),
    "snip": ("snip", {}, lambda m, d: lt.snip(m, d)),
    "taylor": ("taylor", {}, lambda m, d: lt.taylor(m, d)),
    "fisher": ("fisher", {}, lambda m, d: lt.compute_fisher_importance(m, d, None)),
    "grasp": ("grasp", {}, lambda m, d: lt.grasp(m, d)),
    "synflow": ("synflow", {}, lambda m, d: lt.synflow(m, d, rounds=3)),
    "wanda": ("wanda", {}, lambda m, d: lt.wanda(m, d)),
    "sparsegpt": ("sparsegpt", {}, lambda m, d: lt.sparsegpt(m, d)),
    "hybrid": ("hybrid", {}, lambda m, d: lt.compute_hybrid_importance(m, d)),
    "early-bird": ("early-bird", {"sample_size": SAMPLE}, early_bird()),
    "early-bird left": (
        "early-bird",
        {"restore": False, "sample_size": SAMPLE},
        early_bird(restore=False),
    ),
    "early-bird adamw": (
        "early-bird",
        {"optimizer": "adamw", "sample_size": SAMPLE},
        early_bird(use_sgd=False),
    ),
    "imp": ("imp", {}, imp(torch.optim.SGD)),
    "imp momentum": (
        "imp",
        {"optimizer": "momentum"},
        imp(lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)),
    ),
    "imp adamw": ("imp", {"optimizer": "adamw"}, imp(torch.optim.AdamW)),
    "robustness": (
        "robustness",
        {},
        lambda m, d: lt.compute_pruning_robustness(m, d[0], [0.5, 0.9]),
    ),
    "landscape": ("landscape", {}, lambda m, d: lt.compute_loss_landscape(m, d[:1], grid_points=2)),
    "landscape stored": (
        "landscape",
        {"store_directions": True},
        lambda m, d: lt.compute_loss_landscape(m, d[:1], grid_points=2, store_directions=True),
    ),
}


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Callable[[torch.dtype], tuple[nn.Module, list[Any]]]:
    torch.manual_seed(0)
    return NETWORKS[request.param]


@pytest.fixture(params=list(CALLS))
def call(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], Call]:
    return CALLS[request.param]
