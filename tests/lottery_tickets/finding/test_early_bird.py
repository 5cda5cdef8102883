"""Early-bird tickets: the authors' rule, the step inside backward, and a network left as it was found."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery_tickets import prunable, prune
from lottery_tickets.early_bird import compute_early_bird_tickets
from lottery_tickets.finding.stability import (
    Queue,
    Rule,
    Sample,
    agreement_by_chance,
)


def find(model: nn.Module, data: Any, **options: Any) -> Any:
    return compute_early_bird_tickets(model, data, **{"progress": False, **options})


def plainly(model: nn.Module, batches: Any, epochs: int, optimizer: Any) -> None:
    """The loop that everybody writes."""
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()


def test_a_network_that_settles(model: nn.Module, digits: Any) -> None:
    found = find(model, digits[0])
    assert found["converged"]
    epoch = found["convergence_epoch"]
    assert 5 <= epoch < 30
    assert epoch == found["epochs"] == len(found["losses"]) == len(found["checks"])
    assert found["losses"][-1] < 0.5 * found["losses"][0]
    *before, last = found["checks"]
    assert len(last["distances"]) == 4
    assert max(last["distances"]) <= 0.1
    for check in before:
        assert len(check["distances"]) < 4 or max(check["distances"]) > 0.1
    assert last["agreement"] == 1 - max(last["distances"])
    assert (found["sampled"], found["prunable"], found["standard_error"]) == (2368, 2368, 0.0)
    assert found["sparsity"] == 0.5


def test_a_network_that_does_not(model: nn.Module, digits: Any) -> None:
    found = find(model, digits[0][:2], max_epochs=6, convergence_threshold=1.0, lr=0.5)
    assert not found["converged"]
    assert found["convergence_epoch"] is None
    assert found["epochs"] == 6
    assert found["final_mask"].keys() == prunable(model).keys()


@pytest.mark.parametrize("name", ["sgd", "adamw", "own"])
def test_stepping_inside_backward_is_the_plain_loop_bit_for_bit(
    model: nn.Module, digits: Any, name: str
) -> None:
    twin = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    twin.load_state_dict(model.state_dict())
    options: dict[str, Any]
    if name == "sgd":
        options = {"lr": 0.1}
        optimizer: Any = torch.optim.SGD(twin.parameters(), lr=0.1)
    elif name == "adamw":
        options = {"use_sgd": False}
        optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-3, weight_decay=0)
    else:
        options = {"optimizer": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)}
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9)
    plainly(twin, digits[0][:3], 5, optimizer)
    found = find(
        model, digits[0][:3], max_epochs=5, convergence_threshold=1, restore=False, **options
    )
    for name_, weight in twin.state_dict().items():
        assert torch.equal(model.state_dict()[name_], weight)
    expected = prune(twin, target_sparsity=0.5)
    assert all(torch.equal(found["final_mask"][n], kept) for n, kept in expected.items())


def test_no_two_gradients_are_there_at_once() -> None:
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(6)))
    most = 0

    class Counting(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            nonlocal most
            most = max(most, sum(p.grad is not None for p in model.parameters()))
            super().step()

    find(
        model,
        [(torch.randn(4, 8), torch.randn(4, 8))],
        max_epochs=5,
        optimizer=lambda p: Counting(p, lr=0.01),
    )
    # a layer's bias and weight may be whole at the same moment
    assert 1 <= most <= 2


def test_tied_weights_step_once(digits: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Linear(64, 10))
    model[2].weight = model[0].weight
    twin = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Linear(64, 10))
    twin[2].weight = twin[0].weight
    twin.load_state_dict(model.state_dict())
    plainly(twin, digits[0][:2], 5, torch.optim.SGD(twin.parameters(), lr=0.1))
    found = find(model, digits[0][:2], max_epochs=5, restore=False, convergence_threshold=1)
    assert list(found["final_mask"]) == ["0.weight", "3.weight"]
    assert torch.equal(model[0].weight, twin[0].weight)


def test_the_network_is_left_as_found(as_found: nn.Module, digits: Any) -> None:
    found = find(as_found, digits[0][:2], max_epochs=5)
    assert found["losses"][-1] < found["losses"][0]


def test_the_network_is_left_as_found_after_an_exception(as_found: nn.Module, digits: Any) -> None:
    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, targets)

    calls = 0
    with pytest.raises(KeyboardInterrupt):
        find(as_found, digits[0], loss_fn=loss_fn)


def test_without_restoring_weights_and_statistics_stay_trained() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    data = [(torch.randn(8, 4), torch.randn(8, 4))]
    find(model, data, max_epochs=5, restore=False)
    assert not model.training
    assert int(model[1].num_batches_tracked) == 5
    assert not torch.equal(model[1].running_mean, before["1.running_mean"])
    assert not torch.equal(model[0].weight, before["0.weight"])
    model.load_state_dict(before)
    find(model, data, max_epochs=5)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_the_sample_is_the_generators_and_the_mask_stays_exact(
    model: nn.Module, digits: Any
) -> None:
    def run(seed: int) -> Any:
        drawn = torch.Generator().manual_seed(seed)
        data = digits[0][:4]
        return find(model, data, max_epochs=5, sample_size=500, generator=drawn)

    one, same, other = run(1), run(1), run(2)
    assert one == {**same, "final_mask": one["final_mask"]}
    assert one["checks"] != other["checks"]
    assert 400 < one["sampled"] <= 500
    assert one["standard_error"] == pytest.approx(0.5 / one["sampled"] ** 0.5)
    exact = find(model, digits[0][:4], max_epochs=5)
    for run_ in (one, same, other):
        mask = run_["final_mask"]
        assert all(torch.equal(mask[name], kept) for name, kept in exact["final_mask"].items())
    largest = max(exact["checks"][-1]["distances"])
    assert max(one["checks"][-1]["distances"]) == pytest.approx(largest, abs=0.08)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), size=st.integers(1, 120))
def test_a_sample_takes_what_stands_at_its_places(seed: int, size: int) -> None:
    shapes = {"a": (7, 5), "b": (1,), "c": (3, 2, 4)}
    weights = {
        name: torch.arange(60.0)[: torch.Size(s).numel()].view(s) for name, s in shapes.items()
    }
    weights["a"] = weights["a"].t()  # not contiguous
    sample = Sample(weights, size, torch.Generator().manual_seed(seed))
    taken = sample.take(weights)
    assert sample.size == sum(t.numel() for t in taken.values()) <= min(size, 60)
    if size >= 60:
        assert all(torch.equal(taken[name], weight) for name, weight in weights.items())
        return
    assert sample.places is not None
    for name, places in sample.places.items():
        assert torch.equal(taken[name], weights[name].reshape(-1)[places])
        assert (places.diff() > 0).all()


def test_the_sample_is_drawn_from_all_weights_alike() -> None:
    weights = {"small": torch.zeros(10_000), "large": torch.zeros(90_000)}
    taken = Sample(weights, 5000, None).take(weights)
    assert len(taken["small"]) / len(taken["large"]) == pytest.approx(1 / 9, rel=0.15)


def test_the_queue_is_the_authors() -> None:
    queue = Queue(Rule("hamming", 0.9, 0.5, "global", 5))
    drawn = torch.Generator().manual_seed(0)
    masks = []
    for epoch in range(1, 12):
        weights = {"w": torch.randn(100, generator=drawn) + 3 * (torch.arange(100) > 49)}
        masks.append(prune(weights, target_sparsity=0.5)["w"])
        check = queue.look(weights, epoch)
        expected = [float((masks[-1] != other).float().mean()) for other in masks[-5:-1]]
        assert check["distances"] == pytest.approx(expected)
        assert queue.stable(check) == (len(masks) >= 5 and max(expected) < 0.1 + 1e-9)


def test_a_distance_of_exactly_a_tenth_is_stable() -> None:
    queue = Queue(Rule("hamming", 0.9, 0.5, "global", 2))
    queue.look({"w": torch.arange(20.0)}, 1)
    swapped = torch.arange(20.0)
    swapped[[9, 10]] = swapped[[10, 9]]
    check = queue.look({"w": swapped}, 2)
    assert check["distances"] == [0.1]
    assert queue.stable(check)


def test_spearman_asks_for_the_lowest_correlation(model: nn.Module, digits: Any) -> None:
    found = find(model, digits[0], distance="spearman", convergence_threshold=0.95)
    assert found["converged"]
    assert 1 - max(found["checks"][-1]["distances"]) >= 0.95 > found["checks"][-2]["agreement"]


def test_the_call_of_the_texts(model: nn.Module, digits: Any) -> None:
    results = compute_early_bird_tickets(
        model=model,
        dataloader=digits[0][:4],
        check_interval=5,
        convergence_threshold=0.95,
        target_sparsity=0.9,
    )
    assert [check["epoch"] for check in results["checks"]] == [5, 10, 15, 20, 25, 30]
    kept = sum(int(kept.sum()) for kept in results["final_mask"].values())
    assert kept == 2368 - round(0.9 * 2368)


def test_channels_by_the_scales_of_batch_norms(digits: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16), nn.BatchNorm1d(16)
    )
    found = find(model, digits[0][:6], unit="channel", max_epochs=8, restore=False)
    assert {name: mask.shape for name, mask in found["final_mask"].items()} == {
        "1.weight": (32,),
        "4.weight": (16,),
    }
    scales = torch.cat([model[1].weight, model[4].weight]).abs()
    mask = torch.cat(list(found["final_mask"].values()))
    assert int(mask.sum()) == 24
    assert scales[mask].min() > scales[~mask].max()


def test_the_penalty_is_added_to_the_scales_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    frozen = lambda out, _: 0.0 * out.sum()  # noqa: E731
    data = [torch.randn(8, 4)]
    find(
        model, data, unit="channel", max_epochs=5, lr=1.0, scale_penalty=0.01, loss_fn=frozen,
        restore=False,
    )  # fmt: skip
    torch.testing.assert_close(model[1].weight, before["1.weight"] - 5 * 0.01)
    assert torch.equal(model[0].weight, before["0.weight"])


def test_dicts_and_losses_of_ones_own(model: nn.Module) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
            return {"loss": nn.functional.cross_entropy(self.inner(pixels), labels)}

    data = [{"pixels": torch.rand(8, 64), "labels": torch.arange(8)}]
    assert find(Named(), data, max_epochs=5)["final_mask"].keys() == {
        "inner.0.weight",
        "inner.2.weight",
    }


def twice(batches: Any) -> Iterator[Any]:
    yield from batches


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"dataloader": []}, "dataloader gave no batch"),
    ({"dataloader": twice([1])}, "dataloader is an iterator"),
    ({"loss_fn": lambda out, _: out.detach().sum()}, "the loss has no gradient"),
    ({"loss_fn": lambda out, _: out.sum() * torch.nan}, "the loss is nan"),
    ({"target_sparsity": 1.0}, r"target_sparsity is 1.0: use a fraction in \(0, 1\)"),
    ({"target_sparsity": 0.0}, "target_sparsity is 0.0"),
    ({"convergence_threshold": 1.5}, r"is 1.5: use an agreement in \(0, 1\]"),
    ({"convergence_threshold": 0.1}, r"unrelated masks, which agree in 0.5 .* e.g. 0.9 "),
    ({"target_sparsity": 0.95}, r"agree in 0.905 of all places at target_sparsity 0.95"),
    ({"distance": "cosine"}, "use 'hamming' or 'spearman'"),
    ({"unit": "filter"}, "use 'weight' or 'channel'"),
    ({"unit": "channel"}, "the network has none"),
    ({"scope": "all"}, "use 'global' or 'layer'"),
    ({"max_epochs": 4}, "use at least 5, or a smaller queue_length"),
    ({"check_interval": 0}, "check_interval is 0: use 1 or more"),
    ({"queue_length": 1}, "queue_length is 1: use 2 or more"),
    ({"sample_size": 0}, "sample_size is 0"),
    ({"lr": 0.0}, "lr is 0.0"),
    ({"lr": 1.0, "optimizer": torch.optim.SGD}, "lr and optimizer are both given"),
    ({"exclude": ["fc*"]}, r"'fc\*' matches no prunable weight"),
]


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_what_is_refused(
    as_found: nn.Module, digits: Any, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        compute_early_bird_tickets(as_found, **{"dataloader": digits[0], **given})


def test_chance_is_what_random_masks_agree_in() -> None:
    drawn = torch.Generator().manual_seed(0)
    one, other = (torch.rand(200_000, generator=drawn) >= 0.9 for _ in range(2))
    assert agreement_by_chance(0.9) == pytest.approx(float((one == other).float().mean()), abs=0.01)


def test_frozen_weights_stay(model: nn.Module, digits: Any) -> None:
    model.get_parameter("0.weight").requires_grad_(False)
    before = model.get_parameter("0.weight").clone()
    find(model, digits[0][:2], max_epochs=5, restore=False)
    assert torch.equal(model.get_parameter("0.weight"), before)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="every weight is frozen"):
        find(model, digits[0][:2])


def test_progress_is_told(model: nn.Module, digits: Any) -> None:
    told: list[tuple[str, int, int | None]] = []
    find(model, digits[0][:2], max_epochs=5, progress=lambda *step: told.append(step))
    assert told[0] == ("epoch 1 of at most 5", 1, 2)
