"""What a ticket keeps, against a plain computation."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lottery_tickets
from lottery_tickets import apply, compute_lottery_ticket_quality
from lottery_tickets.judging.performance import measure, retention
from lottery_tickets.running import Batch

Frozen = Callable[[], bool]
Images = tuple[Tensor, Tensor]


def plain(model: nn.Module, images: Images) -> tuple[float, float]:
    modes = [module.training for module in model.modules()]
    model.eval()
    with torch.no_grad():
        outputs = model(images[0])
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode
    right = (outputs.argmax(1) == images[1]).double().mean()
    return float(functional.cross_entropy(outputs, images[1])), float(right)


def test_it_is_what_a_plain_loop_measures(
    model: nn.Sequential,
    mask: dict[str, Tensor],
    loader: list[Batch],
    images: Images,
    frozen: Frozen,
) -> None:
    quality = compute_lottery_ticket_quality(model, mask, loader)
    assert frozen()
    loss, accuracy = plain(model, images)
    assert quality["dense_loss"] == pytest.approx(loss, rel=1e-6)
    assert quality["dense_accuracy"] == accuracy
    apply(model, mask)
    ticket_loss, ticket_accuracy = plain(model, images)
    assert quality["ticket_loss"] == pytest.approx(ticket_loss, rel=1e-6)
    assert quality["ticket_accuracy"] == ticket_accuracy != accuracy
    assert quality["performance_retention"] == ticket_accuracy / accuracy
    assert (quality["metric"], quality["samples"], quality["batches"]) == ("accuracy", 20, 3)
    kept = sum(int(one.sum()) for one in mask.values())
    assert (quality["kept"], quality["total"]) == (kept, 36 + 768 + 36)
    assert quality["sparsity"] == pytest.approx(1 - kept / 840)
    assert quality["layer_sparsities"]["6.weight"] == 1 - int(mask["6.weight"].sum()) / 36


def test_the_ratio_of_losses_is_the_other_way_round(
    model: nn.Sequential, mask: dict[str, Tensor], loader: list[Batch]
) -> None:
    quality = compute_lottery_ticket_quality(model, mask, loader, metric="loss")
    assert quality["performance_retention"] == quality["dense_loss"] / quality["ticket_loss"]
    assert quality["retention_definition"] == "loss of the dense network / loss of the ticket"
    assert quality["dense_performance"] == quality["dense_loss"]


def test_regression_has_no_accuracy_and_is_judged_by_its_loss() -> None:
    model = nn.Linear(3, 2)
    data = [(torch.randn(6, 3), torch.randn(6, 2))]
    quality = compute_lottery_ticket_quality(
        model, {"weight": torch.zeros(2, 3, dtype=torch.bool)}, data
    )
    assert (quality["metric"], quality["dense_accuracy"]) == ("loss", None)
    with pytest.raises(ValueError, match="metric is 'accuracy', but"):
        compute_lottery_ticket_quality(model, {}, data, metric="accuracy")


def test_a_metric_of_ones_own_weighs_samples(
    model: nn.Sequential, mask: dict[str, Tensor], loader: list[Batch]
) -> None:
    def metric(outputs: Tensor, targets: Tensor) -> float:
        return float(len(targets))

    quality = compute_lottery_ticket_quality(model, mask, loader, metric=metric)
    assert quality["ticket_performance"] == (8 * 8 + 8 * 8 + 4 * 4) / 20
    assert quality["performance_retention"] == 1


def test_a_figure_measured_elsewhere_takes_the_dense_pass_s_place(
    model: nn.Sequential, mask: dict[str, Tensor], loader: list[Batch]
) -> None:
    whole = compute_lottery_ticket_quality(model, mask, loader)
    once: Iterator[Batch] = iter(loader)
    quality = compute_lottery_ticket_quality(model, mask, once, dense_performance=0.5)
    assert quality["performance_retention"] == whole["ticket_accuracy"] / 0.5
    assert quality["dense_loss"] is None


def test_a_network_that_is_pruned_already_is_told(
    model: nn.Sequential, mask: dict[str, Tensor], loader: list[Batch]
) -> None:
    apply(model, mask)
    quality = compute_lottery_ticket_quality(model, mask, loader)
    assert quality["zero_before"] == quality["total"] - quality["kept"]
    assert quality["performance_retention"] == 1


def test_everything_is_left_as_it_was_after_an_exception(
    model: nn.Sequential,
    mask: dict[str, Tensor],
    loader: list[Batch],
    frozen: Frozen,
    failing: Any,
) -> None:
    for after in (0, 2, 3, 5):
        with pytest.raises(RuntimeError, match="out of luck"):
            compute_lottery_ticket_quality(model, mask, loader, loss_fn=failing(after))
        assert frozen()


def test_wrong_input_is_told(
    model: nn.Sequential, mask: dict[str, Tensor], loader: list[Batch], frozen: Frozen
) -> None:
    judge = compute_lottery_ticket_quality
    with pytest.raises(ValueError, match=r"used up after one pass.*give a list"):
        judge(model, mask, iter(loader))
    with pytest.raises(ValueError, match="dataloader gave no batch"):
        judge(model, mask, [])
    with pytest.raises(ValueError, match="holds 20 samples, fewer than num_samples 21"):
        judge(model, mask, loader, num_samples=21)
    with pytest.raises(ValueError, match=r"metric is 'f1': use"):
        judge(model, mask, loader, metric="f1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the mask's 'nobody' is not among the tensors"):
        judge(model, {"nobody": mask["0.weight"]}, loader)
    with pytest.raises(ValueError, match="dense_performance is nan"):
        judge(model, mask, loader, dense_performance=float("nan"))
    assert frozen()
    with torch.no_grad():
        model[0].bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="the loss of the dense network is nan"):
        judge(model, mask, loader)


@pytest.mark.parametrize(
    ("dense", "ticket", "name", "share"),
    [
        (0.8, 0.6, "accuracy", 0.75),
        (2.0, 4.0, "loss", 0.5),
        (0.0, 0.0, "loss", 1.0),
        (2.0, 0.0, "loss", None),
        (0.0, 0.5, "accuracy", None),
        (-1.0, 2.0, "metric", None),
        (2.0, float("nan"), "loss", 0.0),
        (2.0, float("inf"), "loss", 0.0),
    ],
)
def test_retention(dense: float, ticket: float, name: str, share: float | None) -> None:
    found = retention(dense, ticket, name)
    assert found == pytest.approx(math.nan if share is None else share, nan_ok=True)


def test_accuracy_counts_what_counts() -> None:
    """Dense prediction, targets that are to be ignored, and language models, where it is not defined."""
    outputs = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 3.0], [1.0, 0.0]]])  # [N=2, C=2, T=2]
    targets = torch.tensor([[0, -100], [1, 1]])
    found = measure(nn.Identity(), [(outputs, targets)])
    assert found.accuracy == pytest.approx(2 / 3)

    class Words(nn.Module):
        def forward(self, input_ids: Tensor, labels: Tensor) -> Any:
            logits = outputs

            class Answer:
                loss = functional.cross_entropy(outputs.flatten(0, 1), labels.flatten())

            answer = Answer()
            answer.logits = logits  # type: ignore[attr-defined]
            return answer

    batch = {"input_ids": torch.zeros(2, 2), "labels": torch.tensor([[0, 1], [1, 1]])}
    assert measure(Words(), [batch]).accuracy is None


def test_it_is_public() -> None:
    assert lottery_tickets.compute_lottery_ticket_quality is compute_lottery_ticket_quality
