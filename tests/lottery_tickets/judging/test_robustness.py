"""Robustness against pruning level by level, each computed on a copy."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets import apply, compute_pruning_robustness, is_subset, prune
from lottery_tickets.judging.robustness import _metrics

Frozen = Callable[[], bool]
Images = tuple[Tensor, Tensor]


def test_every_level_is_what_a_pruned_copy_does(
    model: nn.Sequential, images: Images, frozen: Frozen
) -> None:
    found = compute_pruning_robustness(model, images, [0.9, 0.5, 0.25], return_masks=True)
    assert frozen()
    assert list(found["sparsity_curves"]) == [0.25, 0.5, 0.9] == list(found["masks"])
    for level, point in found["sparsity_curves"].items():
        other = copy.deepcopy(model).eval()
        mask = prune(other, target_sparsity=level)
        assert all(torch.equal(mask[n], kept) for n, kept in found["masks"][level].items())
        apply(other, mask)
        with torch.no_grad():
            outputs = other(images[0])
        loss = float(functional.cross_entropy(outputs, images[1]))
        assert point["loss"] == pytest.approx(loss, rel=1e-6)
        assert point["loss_ratio"] == pytest.approx(loss / found["baseline_loss"], rel=1e-6)
        assert point["accuracy"] == float((outputs.argmax(1) == images[1]).double().mean())
        assert (point["kept"], point["total"]) == (840 - round(level * 840), 840)
        share = point["accuracy"] / found["baseline_accuracy"]
        assert point["performance_retention"] == pytest.approx(share)
    assert is_subset(found["masks"][0.9], found["masks"][0.5])


def test_scores_exclude_and_scope_reach_the_masks(model: nn.Sequential, images: Images) -> None:
    scores = {
        name: -weight.detach().abs()
        for name, weight in model.named_parameters()
        if weight.dim() > 1
    }
    found = compute_pruning_robustness(model, images, [0.5], scores=scores, return_masks=True)
    kept = torch.cat([scores[name][one] for name, one in found["masks"][0.5].items()])
    lost = torch.cat([scores[name][~one] for name, one in found["masks"][0.5].items()])
    assert kept.min() >= lost.max()
    found = compute_pruning_robustness(
        model, images, [0.5], exclude=["6"], scope="layer", return_masks=True
    )
    counts = {name: int(one.sum()) for name, one in found["masks"][0.5].items()}
    assert counts == {"0.weight": 18, "4.weight": 384}


def test_random_masks_beside_them(model: nn.Sequential, images: Images, frozen: Frozen) -> None:
    def run(seed: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(seed)
        return compute_pruning_robustness(model, images, [0.3, 0.6], generator=generator)

    one, again, other = run(0), run(0), run(1)
    assert frozen()
    assert one == again
    assert (
        one["sparsity_curves"][0.6]["random_loss"] != other["sparsity_curves"][0.6]["random_loss"]
    )
    metrics = one["robustness_metrics"]
    assert metrics["score_over_random"] == pytest.approx(
        metrics["winning_ticket_score"] - metrics["random_score"]
    )
    bare = compute_pruning_robustness(model, images, [0.3, 0.6])
    assert "random_score" not in bare["robustness_metrics"]


def curves(*points: tuple[float, float]) -> dict[float, dict[str, Any]]:
    return {s: {"sparsity": s, "performance_retention": kept} for s, kept in points}


@pytest.mark.parametrize(
    ("points", "optimal", "critical"),
    [
        ([(0.2, 1.1), (0.5, 0.95), (0.8, 0.94)], 0.5, 0.8),
        # Once left, the tolerance does not count as kept again.
        ([(0.2, 1.0), (0.5, 0.5), (0.8, 1.0)], 0.2, 0.5),
        ([(0.2, 0.9), (0.5, 1.0)], 0.0, 0.2),
        ([(0.2, 1.0), (0.5, 1.0)], 0.5, None),
        ([(0.2, 1.0), (0.5, float("nan"))], 0.2, 0.5),
    ],
)
def test_optimal_and_critical_sparsity_bracket_the_fall(
    points: list[tuple[float, float]], optimal: float, critical: float | None
) -> None:
    found = _metrics(curves(*points), 0.05)
    assert (found["optimal_sparsity"], found["critical_sparsity"]) == (optimal, critical)


def test_the_score_is_the_area_under_retention() -> None:
    score = _metrics(curves((0.5, 2.0), (1.0, 0.0)), 0.05)["winning_ticket_score"]
    assert score == pytest.approx(0.75)  # 1 up to one half, then down to 0
    assert _metrics(curves((0.0, 1.0)), 0.05)["winning_ticket_score"] == 1


def test_a_loss_that_breaks_when_pruned_is_a_finding_and_not_an_error() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) / self.layer.weight[0, 0]

    model = Scaled()
    with torch.no_grad():
        model.layer.weight.copy_(torch.tensor([[0.1, 1.0]]))
    batch = (torch.ones(3, 2), torch.ones(3, 1))
    found = compute_pruning_robustness(model, batch, [0.5])
    assert found["sparsity_curves"][0.5]["performance_retention"] == 0
    assert found["robustness_metrics"]["critical_sparsity"] == 0.5


def test_a_batch_as_hugging_face_models_take_it() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.layer(x)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    torch.manual_seed(0)
    batch = {"x": torch.randn(6, 4), "labels": torch.tensor([0, 1, 2, 0, 1, 2])}
    model = Model()
    found = compute_pruning_robustness(model, batch, [0.5])
    assert found["metric"] == "loss"
    assert found["baseline_loss"] == pytest.approx(float(model(**batch)["loss"].detach()))


def test_after_an_exception_all_is_as_it_was(
    model: nn.Sequential, images: Images, frozen: Frozen, failing: Any
) -> None:
    for after in (0, 1, 4):
        with pytest.raises(RuntimeError, match="out of luck"):
            compute_pruning_robustness(model, images, loss_fn=failing(after))
        assert frozen()


def test_wrong_input_is_told(model: nn.Sequential, images: Images) -> None:
    with pytest.raises(ValueError, match="sparsity_levels is empty"):
        compute_pruning_robustness(model, images, [])
    with pytest.raises(ValueError, match=r"sparsity_levels is 1\.0: use a fraction in \[0, 1\)"):
        compute_pruning_robustness(model, images, [0.5, 1.0])
    with pytest.raises(ValueError, match=r"sparsity_levels is 0\.5: give a list"):
        compute_pruning_robustness(model, images, 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tolerance is -1"):
        compute_pruning_robustness(model, images, tolerance=-1)
    with pytest.raises(ValueError, match="score"):
        compute_pruning_robustness(model, images, scores={})
    with pytest.raises(ValueError, match="pattern 'fc'"):
        compute_pruning_robustness(model, images, exclude=["fc"])
    with torch.no_grad():
        model[4].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="the baseline loss is nan"):
        compute_pruning_robustness(model, images)
