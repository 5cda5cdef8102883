"""What the loss of a batch is, when it is said and when it is not."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets.running.losses import batch_loss, differentiable

X, LABELS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 2


@dataclass
class Answer:
    """As Hugging Face models answer."""

    logits: Tensor
    loss: Tensor | None = None


class Causal(nn.Module):
    """Takes keywords, and gives a loss where it gets labels."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Answer:
        logits = self.fc(x)
        return Answer(
            logits, None if labels is None else 7 * functional.cross_entropy(logits, labels)
        )


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def test_the_callers_loss_gets_outputs_and_targets(model: nn.Module) -> None:
    loss = batch_loss(model, (X, LABELS), nn.CrossEntropyLoss())
    assert loss == functional.cross_entropy(model(X), LABELS)
    assert (
        batch_loss(model, X, lambda out, batch: out.sum() + batch.sum()) == model(X).sum() + X.sum()
    )


def test_the_usual_loss_follows_from_the_targets(model: nn.Module) -> None:
    assert batch_loss(model, (X, LABELS)) == functional.cross_entropy(model(X), LABELS)
    wanted = torch.ones(5, 2)
    assert batch_loss(model, [X, wanted]) == functional.mse_loss(model(X), wanted)


def test_a_network_that_gives_its_loss_is_believed() -> None:
    causal = Causal()
    batch = {"x": X, "labels": LABELS}
    assert batch_loss(causal, batch) == 7 * functional.cross_entropy(causal.fc(X), LABELS)
    assert batch_loss(causal, batch, functional.cross_entropy) == functional.cross_entropy(
        causal.fc(X), LABELS
    )


@pytest.mark.parametrize("batch", [X, {"x": X}, (X, torch.ones(5, 3))])
def test_nobody_says_what_the_loss_is(batch: Any) -> None:
    with pytest.raises(ValueError, match="pass loss_fn"):
        batch_loss(Causal(), batch)


def test_a_loss_is_one_number_with_a_gradient(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"the loss is \(5,\): loss_fn must return one number"):
        batch_loss(model, (X, LABELS), nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(ValueError, match="the loss has no gradient"):
        differentiable(batch_loss(model.requires_grad_(False), (X, LABELS)))
    with pytest.raises(ValueError, match="the loss is nan"):
        differentiable(batch_loss(model.requires_grad_(True), (X * torch.nan, LABELS)))
