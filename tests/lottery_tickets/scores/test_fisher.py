"""Fisher importance, against a loop over samples that keeps everything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lottery_tickets import compute_fisher_importance, prunable
from lottery_tickets.scores import vectorised

Pair = tuple[Tensor, Tensor]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(12, 4),
    )


def data(sizes: tuple[int, ...] = (4, 4, 3), seed: int = 0) -> list[Pair]:
    source = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, 1, 4, 4, generator=source), torch.randint(0, 4, (n,), generator=source))
        for n in sizes
    ]


def plain(model: nn.Module, batches: list[Pair], clip: float | None = None) -> dict[str, Tensor]:
    """Every sample by itself, with all gradients kept."""
    weights = prunable(model)
    sums = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in weights.items()}
    mode = model.training
    model.eval()
    count = 0
    for x, y in batches:
        for i in range(len(x)):
            loss = functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
            found = torch.autograd.grad(loss, list(weights.values()))
            length = torch.cat([g.float().reshape(-1) for g in found]).norm()
            factor = 1.0 if clip is None else min(1.0, clip / float(length))
            for name, g in zip(weights, found, strict=True):
                sums[name] += (factor * g.float()) ** 2
            count += 1
    model.train(mode)
    return {name: total / count for name, total in sums.items()}


def close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, score in found.items():
        assert score.dtype == torch.float32
        assert score.shape == wanted[name].shape
        error = (score - wanted[name]).norm() / wanted[name].norm()
        assert error < 1e-4, (name, error)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    clip=st.sampled_from([None, 0.05, 1.0]),
    vectorize=st.booleans(),
    chunk=st.sampled_from([1, 5, 100_000_000]),
    store=st.sampled_from(["device", "host"]),
)
def test_it_is_the_mean_square_of_each_samples_gradient(
    seed: int, sizes: tuple[int, ...], clip: Any, vectorize: bool, chunk: int, store: Any
) -> None:
    model, batches = network(seed), data(sizes, seed)
    found = compute_fisher_importance(
        model, batches, None, chunk, True, clip, vectorize=vectorize, store=store
    )
    close(found, plain(model, batches, clip))


def test_the_square_of_the_batchs_gradient_would_be_something_else() -> None:
    x, y = data((8,))[0]
    found = compute_fisher_importance(network(), [(x, y)], None)["5.weight"]
    model = network().eval()
    model.zero_grad()
    functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    weight = prunable(model)["5.weight"]
    assert weight.grad is not None
    assert (found - weight.grad**2).norm() > found.norm() / 2


def test_so_many_samples_and_no_more() -> None:
    x, y = (torch.cat(parts) for parts in zip(*data(), strict=True))
    close(compute_fisher_importance(network(), data(), 6), plain(network(), [(x[:6], y[:6])]))
    with pytest.raises(ValueError, match="holds 11 samples, fewer than num_samples 1000"):
        compute_fisher_importance(network(), data())


def test_a_small_network_takes_several_samples_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = vectorised.sample_gradients

    def spy(model: nn.Module, weights: Any, batch: Any, loss_fn: Any) -> dict[str, Tensor]:
        sizes.append(len(batch[0]))
        return real(model, weights, batch, loss_fn)

    monkeypatch.setattr("lottery_tickets.scores.fisher.sample_gradients", spy)
    monkeypatch.setattr(vectorised, "ROOM", 4 * 4 * (27 + 48))
    compute_fisher_importance(network(), data((9,)), None)
    assert sizes == [4, 4]
    monkeypatch.setattr(vectorised, "ROOM", 4 * 4 * (27 + 48) - 1)
    compute_fisher_importance(network(), data((9,)), None)
    assert sizes == [4, 4], "three samples' gradients have room: one by one is as fast"


class Deciding(nn.Module):
    """Its data decide its flow, which vmap cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.inner(x if x.sum() > 0 else -x)
        return answer


def test_what_vmap_cannot_follow_goes_one_by_one() -> None:
    model = Deciding()
    close(compute_fisher_importance(model, data(), None, vectorize=True), plain(model, data()))


@dataclass
class Answer:
    loss: Tensor | None
    logits: Tensor


class Language(nn.Module):
    """A little language model: tied embeddings, a layer shared by two places, keywords in, `.loss` out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(7, 6)
        self.mix, self.unused = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.embed.weight
        self.recompute = False

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> Answer:
        x = self.embed(input_ids).cumsum(1)
        for _ in range(2):
            if self.recompute:
                x = checkpoint(self._block, x, use_reentrant=False)
            else:
                x = self._block(x)
        logits = self.head(x)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return Answer(loss, logits)

    def _block(self, x: Tensor) -> Tensor:
        return x + self.mix(x).tanh()


def sequences() -> list[dict[str, Tensor]]:
    ids = torch.randint(0, 7, (6, 5), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": ids[:4], "labels": ids[:4]}, {"input_ids": ids[4:], "labels": ids[4:]}]


@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
def test_a_language_model_with_shared_parts(vectorize: bool, recompute: bool) -> None:
    model = Language()
    model.recompute = recompute
    with pytest.warns(UserWarning, match=r"no gradient reached unused\.weight"):
        found = compute_fisher_importance(model, sequences(), None, vectorize=vectorize)
    assert list(found) == ["mix.weight", "unused.weight"], "the tied embedding is never pruned"
    assert not found["unused.weight"].any()
    wanted = torch.zeros(6, 6)
    for batch in sequences():
        for ids in batch["input_ids"]:
            loss = model(ids[None], ids[None]).loss
            wanted += torch.autograd.grad(loss, model.mix.weight)[0] ** 2 / 6
    torch.testing.assert_close(found["mix.weight"], wanted, rtol=1e-4, atol=1e-9)


def test_frozen_weights_are_scored_and_stay_frozen() -> None:
    model = network().requires_grad_(False)
    found = compute_fisher_importance(model, data(), None)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    close(found, plain(network(), data()))


def test_bf16_weights_have_fp32_scores() -> None:
    torch.manual_seed(0)
    model = nn.Linear(1, 1, bias=False).bfloat16()
    ones = [torch.ones(1000, 1, dtype=torch.bfloat16)]

    def total(out: Tensor, _: Tensor) -> Tensor:
        return out.sum()

    for vectorize in (True, False):
        found = compute_fisher_importance(model, ones, loss_fn=total, vectorize=vectorize)
        assert found["weight"].dtype == torch.float32
        assert found["weight"] == 1
    with pytest.warns(UserWarning, match=r"sums are torch\.bfloat16: .* leave it True"):
        narrow = compute_fisher_importance(
            model, ones, use_mixed_precision=False, loss_fn=total, vectorize=False
        )
    assert narrow["weight"].dtype == torch.bfloat16
    assert narrow["weight"] < 0.3, "a bf16 sum of ones stops at 256"


def test_one_gradient_at_a_time_and_none_of_what_is_not_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(5)))
    alive: list[int] = []
    from lottery_tickets.scores.backward import Sums

    real = Sums.take

    def spy(self: Sums, name: str, g: Tensor) -> None:
        alive.append(sum(p.grad is not None for p in model.parameters()))
        real(self, name, g)

    monkeypatch.setattr(Sums, "take", spy)
    compute_fisher_importance(model, [torch.ones(2, 8)], None, vectorize=False, loss_fn=_total)
    assert alive == [0] * 10


def _total(out: Tensor, _: Any) -> Tensor:
    return out.sum()


def test_a_gradient_that_comes_in_parts_is_refused() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            for _ in range(2):
                x = checkpoint(self.fc, x, use_reentrant=True)
            return x

    with pytest.raises(ValueError, match=r"came in parts.*use_reentrant=False"):
        compute_fisher_importance(
            Again(), [torch.ones(2, 3)], None, loss_fn=_total, vectorize=False
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"chunk_size": 0}, "chunk_size is 0: use 1 or more"),
        ({"gradient_clip": 0.0}, "gradient_clip is 0.0: use a length above 0, or None"),
        ({"gradient_clip": float("nan")}, "gradient_clip is nan"),
        ({"store": "disk"}, "store is 'disk': use 'device' or 'host'"),
        ({"num_samples": 0}, "num_samples is 0: use 1 or more"),
        ({"exclude": ["nowhere"]}, "pattern 'nowhere' matches no prunable weight"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compute_fisher_importance(network(), data(), **options)


def test_progress_counts_samples() -> None:
    told: list[tuple[str, int, int | None]] = []
    compute_fisher_importance(
        network(), data(), 6, progress=lambda doing, done, total: told.append((doing, done, total))
    )
    assert told == [("fisher", n, 6) for n in range(1, 7)]


@pytest.mark.parametrize("vectorize", [True, False])
def test_a_sample_whose_loss_is_nan(vectorize: bool) -> None:
    (x, y), *_ = data()
    x[2] = torch.nan
    model = network()
    with pytest.raises(ValueError, match="the loss is nan"):
        compute_fisher_importance(model, [(x, y)], None, vectorize=vectorize)
    assert all(p.requires_grad and not p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_loader_that_breaks_leaves_the_network_as_it_was() -> None:
    def breaking() -> Iterator[Pair]:
        yield data()[0]
        raise OSError("the disk is gone")

    model = network()
    kept = torch.ones_like(model[0].weight)
    model[0].weight.grad = kept
    model[5].weight.requires_grad_(False)
    model[3].eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(OSError, match="the disk is gone"):
        compute_fisher_importance(model, breaking(), None)
    assert model[0].weight.grad is kept
    assert not model[5].weight.requires_grad
    assert [module.training for module in model.modules()] == modes
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
