"""Each check is named, and finds what it is there for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets import apply, prune, validate_pruning_correctness
from lottery_tickets.running import Batch

Frozen = Callable[[], bool]

NAMES = [
    "mask_fits",
    "pruned_weights_are_zero",
    "exact_sparsity",
    "finite_weights",
    "no_empty_layer",
    "no_dead_path",
    "finite_gradients",
    "stays_pruned",
    "pruned_gradients",
    "performance",
]


@pytest.fixture
def ticket(model: nn.Sequential) -> dict[str, Tensor]:
    """The mask of a network that is pruned to 70% and holds no gradients."""
    mask = prune(model, target_sparsity=0.7)
    apply(model, mask)
    for weight in model.parameters():
        weight.grad = None
    return mask


def passed(found: dict[str, Any]) -> dict[str, bool | None]:
    return {name: check["passed"] for name, check in found["checks"].items()}


def step(apply_mask: dict[str, Tensor] | None) -> Callable[[nn.Module], None]:
    def train(model: nn.Module) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.ones(2, 1, 6, 6)).sum().backward()
        optimizer.step()
        if apply_mask is not None:
            apply(model, apply_mask)

    return train


def test_a_sound_network_passes_every_check(
    model: nn.Sequential, ticket: dict[str, Tensor], loader: list[Batch]
) -> None:
    for name, weight in model.named_parameters():
        weight.grad = torch.zeros_like(weight) if name == "0.weight" else None
    before = [(w.clone(), w.grad, w.requires_grad) for w in model.parameters()]
    found = validate_pruning_correctness(
        model,
        ticket,
        loader,
        0.3,
        target_sparsity=0.7,
        train_step=step(ticket),
        tolerance=0.9,
    )
    assert list(found["checks"]) == NAMES
    assert passed(found) == dict.fromkeys(NAMES, True)
    assert found["valid"] is True
    assert (found["failed"], found["not_checked"]) == ([], [])
    assert all(check["message"].endswith(".") for check in found["checks"].values())
    assert (found["kept"], found["total"]) == (252, 840)
    assert found["performance_retention"] == found["performance"] / 0.3
    for weight, (value, grad, wanted) in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, value)
        assert weight.grad is grad
        assert weight.requires_grad is wanted


def test_what_is_not_asked_is_not_checked(model: nn.Sequential, ticket: dict[str, Tensor]) -> None:
    found = validate_pruning_correctness(model, ticket)
    assert found["valid"]
    assert found["not_checked"] == [
        "exact_sparsity",
        "no_dead_path",
        "finite_gradients",
        "stays_pruned",
        "pruned_gradients",
        "performance",
    ]


def test_a_mask_that_does_not_fit(model: nn.Sequential, ticket: dict[str, Tensor]) -> None:
    wrong = {**ticket, "0.weight": ticket["4.weight"], "nobody": ticket["4.weight"]}
    found = validate_pruning_correctness(model, wrong)
    assert found["failed"] == ["mask_fits"]
    message = found["checks"]["mask_fits"]["message"]
    assert "'0.weight'" in message
    assert "'nobody'" in message
    assert not found["valid"]
    assert validate_pruning_correctness(model, {})["failed"] == ["mask_fits"]


def test_weights_that_came_back(model: nn.Sequential, ticket: dict[str, Tensor]) -> None:
    with torch.no_grad():
        model[4].weight[~ticket["4.weight"]] = -0.0
    assert validate_pruning_correctness(model, ticket)["valid"]
    with torch.no_grad():
        model[4].weight[~ticket["4.weight"]] = 1e-40
    found = validate_pruning_correctness(model, ticket)
    assert found["failed"] == ["pruned_weights_are_zero"]
    count = int((~ticket["4.weight"]).sum())
    assert f"{count:,} of 4.weight's" in found["checks"]["pruned_weights_are_zero"]["message"]


def test_a_count_that_is_off_by_one(model: nn.Sequential, ticket: dict[str, Tensor]) -> None:
    kept = ticket["4.weight"].nonzero()[0]
    ticket["4.weight"][kept[0], kept[1]] = False
    apply(model, ticket)
    found = validate_pruning_correctness(model, ticket, target_sparsity=0.7)
    assert found["failed"] == ["exact_sparsity"]
    assert "251 of 840" in found["checks"]["exact_sparsity"]["message"]
    assert "252" in found["checks"]["exact_sparsity"]["message"]


def test_a_broken_weight_or_buffer(model: nn.Sequential, ticket: dict[str, Tensor]) -> None:
    model[1].running_mean[0] = float("inf")
    found = validate_pruning_correctness(model, ticket)
    assert found["failed"] == ["finite_weights"]
    assert "1.running_mean" in found["checks"]["finite_weights"]["message"]


def test_an_empty_layer_cuts_the_path(
    model: nn.Sequential, ticket: dict[str, Tensor], loader: list[Batch]
) -> None:
    ticket["4.weight"].fill_(False)
    apply(model, ticket)
    found = validate_pruning_correctness(model, ticket, loader)
    assert found["failed"] == ["no_empty_layer", "no_dead_path"]


def test_a_dead_path_without_an_empty_layer() -> None:
    """The first layer feeds unit 0 alone, and the second listens to unit 1 alone."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False))
    mask = {
        "0.weight": torch.tensor([[True] * 3, [False] * 3]),
        "1.weight": torch.tensor([[False, True]] * 2),
    }
    apply(model, mask)
    data = [(torch.randn(5, 3), torch.randint(2, (5,)))]
    found = validate_pruning_correctness(model, mask, data)
    assert found["failed"] == ["no_dead_path"]
    assert "0.weight, 1.weight" in found["checks"]["no_dead_path"]["message"]


def test_frozen_weights_are_no_dead_path(
    model: nn.Sequential, ticket: dict[str, Tensor], loader: list[Batch]
) -> None:
    model.requires_grad_(False)
    assert validate_pruning_correctness(model, ticket, loader)["valid"]
    assert not any(weight.requires_grad for weight in model.parameters())


def test_a_training_step_that_forgets_the_mask(
    model: nn.Sequential, ticket: dict[str, Tensor]
) -> None:
    before = model[4].weight.clone()
    found = validate_pruning_correctness(model, ticket, train_step=step(None))
    assert found["failed"] == ["stays_pruned"]
    assert "4.weight" in found["checks"]["stays_pruned"]["message"]
    assert torch.equal(model[4].weight, before)


def test_gradients_of_pruned_weights(model: nn.Sequential, ticket: dict[str, Tensor]) -> None:
    model[4].weight.grad = torch.ones(12, 64)
    found = validate_pruning_correctness(model, ticket)
    assert passed(found)["pruned_gradients"] is None
    assert "pass train_step" in found["checks"]["pruned_gradients"]["message"]
    found = validate_pruning_correctness(model, ticket, train_step=step(ticket))
    assert passed(found)["pruned_gradients"] is True
    found = validate_pruning_correctness(model, ticket, train_step=step(None))
    assert passed(found)["pruned_gradients"] is None
    assert found["failed"] == ["stays_pruned"]


def test_performance_below_the_original(
    model: nn.Sequential, ticket: dict[str, Tensor], loader: list[Batch]
) -> None:
    found = validate_pruning_correctness(model, ticket, iter(loader), 1.0, tolerance=0.01)
    assert found["failed"] == ["performance"]
    assert "against 1 of the original" in found["checks"]["performance"]["message"]
    whole = validate_pruning_correctness(model, ticket, loader, 1.0, tolerance=0.01)
    assert whole["performance"] == found["performance"]


def test_all_is_left_as_it_was_after_an_exception(
    model: nn.Sequential,
    mask: dict[str, Tensor],
    loader: list[Batch],
    frozen: Frozen,
    failing: Any,
) -> None:
    def broken(given: nn.Module) -> None:
        step(None)(given)
        raise RuntimeError("out of luck")

    for arguments in (
        {"loss_fn": failing(0)},
        {"loss_fn": failing(2)},
        {"train_step": broken},
    ):
        with pytest.raises(RuntimeError, match="out of luck"):
            validate_pruning_correctness(model, mask, loader, 0.5, **arguments)
        assert frozen()


def test_wrong_arguments_are_told(model: nn.Sequential, mask: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"tolerance is 1\.5"):
        validate_pruning_correctness(model, mask, tolerance=1.5)
    with pytest.raises(ValueError, match="target_sparsity is 1"):
        validate_pruning_correctness(model, mask, target_sparsity=1)
    with pytest.raises(ValueError, match="original_performance is given without data"):
        validate_pruning_correctness(model, mask, original_performance=0.9)
    with pytest.raises(ValueError, match=r"original_performance is \{'accuracy': 1\}: give"):
        validate_pruning_correctness(model, mask, [], {"accuracy": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dataloader gave no batch"):
        validate_pruning_correctness(model, mask, [], 0.9)
