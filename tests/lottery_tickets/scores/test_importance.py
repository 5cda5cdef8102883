"""Every score by name, their mixture, and what all of them must do with any network."""

import warnings
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import lottery_tickets
from lottery_tickets import compute_hybrid_importance, importance, prunable, prune, ranks, select
from lottery_tickets.scores import Method
from lottery_tickets.scores.hybrid import WEIGHTS
from lottery_tickets.scores.methods import NEEDS_DATA, SINGLE

METHODS: tuple[Method, ...] = get_args(Method)
WITH_DATA = [method for method in METHODS if method in {*NEEDS_DATA, "hybrid"}]
WITH_LOSS = [method for method in WITH_DATA if method not in {"synflow", "wanda"}]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Tied(nn.Module):
    """A shared module, a tied weight, an embedding tied to the output, a frozen part and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(6, 8)
        self.first = self.again = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.first.weight
        self.conv, self.norm = nn.Conv1d(8, 8, 3, padding=1), nn.BatchNorm1d(8)
        self.register_buffer("scale", torch.tensor(0.5))
        self.head = nn.Linear(8, 6, bias=False)
        self.head.weight = self.embed.weight
        self.conv.requires_grad_(False)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.embed(input_ids)
        for layer in (self.first, self.again, self.tied):
            x = x + layer(x).tanh() * self.scale
        x = self.norm(self.conv(x.transpose(1, 2))).transpose(1, 2)
        logits = self.head(x)
        if labels is None:
            return {"logits": logits}
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
        return {"logits": logits, "loss": loss}


def tokens(samples: int = 6) -> list[dict[str, Tensor]]:
    ids = torch.randint(0, 6, (samples, 5), generator=seeded())
    return [{"input_ids": part, "labels": part} for part in ids.split(4)]


def state(model: nn.Module) -> list[Any]:
    """Everything that must be found again."""
    return [
        [
            (n, p.clone(), p.grad, p.requires_grad, p._post_accumulate_grad_hooks)
            for n, p in model.named_parameters()
        ],
        [(n, b.clone()) for n, b in model.named_buffers()],
        [(m.training, list(m._forward_pre_hooks), list(m._forward_hooks)) for m in model.modules()],
    ]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    return bool(one == other) or (not one and not other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_any_network_is_scored_and_left_as_it_was(method: Method, dtype: torch.dtype) -> None:
    model = Tied().to(dtype)
    model.norm.eval()
    model.first.weight.grad = torch.ones(8, 8, dtype=dtype)
    before = state(model)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = importance(model, method, tokens(), generator=seeded())
    assert same(state(model), before)
    assert list(scores) == list(prunable(model)) == ["first.weight", "conv.weight"]
    for name, score in scores.items():
        assert score.shape == prunable(model)[name].shape
        assert score.dtype == (dtype if method == "magnitude" else torch.float32)
        assert score.isfinite().all()
        assert not score.requires_grad
        assert len(score.unique()) > 1
    mask = prune(model, target_sparsity=0.5, score=scores)
    assert sum(int(kept.sum()) for kept in mask.values()) == 128
    again = importance(model, method, tokens(), generator=seeded())
    assert all(torch.equal(score, again[name]) for name, score in scores.items())
    few = importance(model, method, tokens(), generator=seeded(), exclude=["conv"])
    assert list(few) == ["first.weight"]


@pytest.mark.parametrize("method", [method for method in WITH_DATA if method != "synflow"])
def test_after_an_exception_the_network_is_as_it_was(method: Method) -> None:
    def breaking() -> Iterator[dict[str, Tensor]]:
        yield from tokens()
        raise OSError("the disk is gone")

    model = Tied()
    before = state(model)
    with pytest.raises(OSError, match="the disk is gone"):
        importance(model, method, breaking())
    assert same(state(model), before)

    def failing(*_: Any) -> None:
        raise RuntimeError("no more")

    handle = model.conv.register_forward_hook(failing)
    before = state(model)
    with pytest.raises(RuntimeError, match="no more"):
        importance(model, method, tokens())
    assert same(state(model), before)
    handle.remove()


@pytest.mark.parametrize("method", WITH_DATA)
def test_data_that_are_missing_or_too_few(method: Method) -> None:
    with pytest.raises(ValueError, match=r"needs data: pass dataloader"):
        importance(Tied(), method)
    with pytest.raises(ValueError, match="dataloader gave no batch"):
        importance(Tied(), method, [])
    if method != "synflow":
        with pytest.raises(ValueError, match="holds 6 samples, fewer than num_samples 7"):
            importance(Tied(), method, tokens(), num_samples=7)


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_are_no_numbers_or_not_there(method: Method) -> None:
    model = Tied()
    with torch.no_grad():
        model.conv.weight[1, 2, 0] = -torch.inf
    with pytest.raises(ValueError, match=r"the weight 'conv\.weight' is -inf at index \(1, 2, 0\)"):
        importance(model, method, tokens(), generator=seeded())
    with pytest.raises(ValueError, match="no weight can be scored"):
        importance(nn.Embedding(6, 2), method, tokens(), generator=seeded())
    with pytest.raises(ValueError, match="'weight' is on the meta device"):
        importance(nn.Linear(2, 2, device="meta"), method, tokens(), generator=seeded())
    whole = nn.Linear(2, 2)
    whole.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match=r"'weight' is torch\.int8: scores need"):
        importance(whole, method, tokens(), generator=seeded())
    with pytest.raises(ValueError, match="pattern 'hed' matches no prunable weight"):
        importance(Tied(), method, tokens(), generator=seeded(), exclude=["hed"])


@pytest.mark.parametrize("method", WITH_LOSS)
def test_losses_without_gradient_and_without_value(method: Method) -> None:
    model, batch = nn.Linear(3, 2), [(torch.ones(4, 3), torch.ones(4, 2))]
    with pytest.raises(ValueError, match="the loss has no gradient"):
        importance(model, method, batch, loss_fn=lambda out, y: (out.detach() - y).sum())
    with pytest.raises(ValueError, match="the loss is nan"):
        importance(model, method, batch, loss_fn=lambda out, y: (out - y).sum() * torch.nan)
    with pytest.raises(ValueError, match="loss_fn must return one number"):
        importance(model, method, batch, loss_fn=lambda out, y: out - y)


@pytest.mark.parametrize("method", WITH_LOSS)
def test_a_gradient_that_is_no_number_is_named(method: Method) -> None:
    class Root(nn.Module):
        """The square root has an infinite slope at 0."""

        def __init__(self) -> None:
            super().__init__()
            self.fine, self.broken = nn.Linear(2, 2), nn.Linear(2, 2, bias=False)
            with torch.no_grad():
                self.broken.weight[1] = 0

        def forward(self, x: Tensor) -> Tensor:
            return self.fine(x) + self.broken(x).abs().sqrt()

    with pytest.raises(
        ValueError, match=r"score of 'broken\.weight' is (nan|inf) at index \(1, 0\)"
    ):
        importance(
            Root(), method, [(torch.ones(3, 2), torch.ones(3, 2))], loss_fn=functional.l1_loss
        )


@pytest.mark.parametrize("method", WITH_LOSS)
def test_what_gets_no_gradient_is_said_once(method: Method) -> None:
    model = nn.Module()
    model.used, model.idle, model.other = nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)
    model.forward = lambda x: model.used(x).tanh()
    batch = [(torch.randn(4, 3, generator=seeded()), torch.ones(4, 2))] * 2
    weights = {"taylor": 1.0} if method == "hybrid" else None
    with pytest.warns(
        UserWarning, match=r"no gradient .*reached idle\.weight, other\.weight"
    ) as told:
        scores = importance(model, method, batch, weights=weights)
    assert len(told) == 1
    assert len(scores["idle.weight"].unique()) == 1


def test_what_a_method_needs_and_which_there_are() -> None:
    with pytest.raises(ValueError, match="method is 'fischer': use magnitude, random, gradient"):
        importance(Tied(), "fischer", tokens())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'random' needs a generator"):
        importance(Tied(), "random")
    with pytest.raises(ValueError, match="weights are for method 'hybrid', not 'snip'"):
        importance(Tied(), "snip", tokens(), weights={"snip": 1})
    assert set(METHODS) == {*SINGLE, "hybrid"}
    assert lottery_tickets.scores.magnitude({"w": -torch.ones(1)})["w"] == 1
    assert lottery_tickets.scores.random is lottery_tickets.random


def test_synflow_is_told_where_it_leads() -> None:
    found = importance(Tied(), "synflow", tokens(), target_sparsity=0.25)
    left = sum(int((score >= 0).sum()) for score in found.values())
    assert left == 256 - round(256 * (1 - 0.75**0.99))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    levels=st.integers(1, 30),
    keep=st.integers(0, 17),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_ranks_share_ties_and_choose_as_the_scores_do(
    seed: int, levels: int, keep: int, dtype: torch.dtype
) -> None:
    drawn = torch.randint(-levels, levels, (17,), generator=seeded(seed)).to(dtype)
    scores = {"a": drawn[:5], "b": drawn[5:].view(3, 4).t(), "none": torch.empty(0, 3)}
    found = ranks(scores)
    flat = torch.cat([score.flatten() for score in scores.values()]).tolist()
    wanted = [(sum(other < one for other in flat) + (flat.count(one) - 1) / 2) / 16 for one in flat]
    assert torch.cat([rank.flatten() for rank in found.values()]).tolist() == pytest.approx(wanted)
    for (name, kept), by_scores in zip(
        select(found, keep).items(), select(scores, keep).values(), strict=True
    ):
        assert torch.equal(kept, by_scores), name


def test_ranks_of_little_and_of_nothing() -> None:
    assert ranks({"a": torch.tensor([5.0])})["a"] == 1
    assert ranks({"a": torch.empty(0)})["a"].shape == (0,)
    with pytest.raises(ValueError, match=r"the score of 'b' at index \(1,\) is NaN"):
        ranks({"a": torch.ones(1), "b": torch.tensor([1, torch.nan])})


def test_a_hybrid_is_the_mean_of_ranks() -> None:
    model, batches = Tied(), tokens()
    found = compute_hybrid_importance(model, batches, {"magnitude": 3, "fisher": 1, "snip": 0})
    one = ranks(importance(model, "magnitude"))
    other = ranks(importance(model, "fisher", batches))
    for name, score in found.items():
        torch.testing.assert_close(score, 0.75 * one[name] + 0.25 * other[name])
    default = compute_hybrid_importance(model, batches)
    for name, score in compute_hybrid_importance(model, batches, weights=WEIGHTS).items():
        assert torch.equal(score, default[name])


@pytest.mark.parametrize("method", ["magnitude", "fisher", "grasp", "synflow"])
def test_a_hybrid_of_one_method_chooses_as_it_does(method: str) -> None:
    model = Tied()
    alone = prune(model, target_sparsity=0.7, score=importance(model, method, tokens()))  # type: ignore[arg-type]
    mixed = prune(
        model, target_sparsity=0.7, score=compute_hybrid_importance(model, tokens(), {method: 2.0})
    )
    assert all(torch.equal(kept, mixed[name]) for name, kept in alone.items())


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            {"magnitude": 1, "fischer": 1, "hybrid": 1},
            "unknown methods 'fischer', 'hybrid': use magnitude, random",
        ),
        ({"magnitude": -1, "fisher": 2}, "weight of 'magnitude' is -1: use a number from 0 up"),
        ({"magnitude": float("nan")}, "weight of 'magnitude' is nan"),
        ({"magnitude": 0}, "weights sum to 0"),
        ({}, "weights sum to 0"),
        ({"random": 1}, "needs a generator"),
        ({"magnitude": 1, "fisher": 1}, "'fisher' needs data"),
    ],
)
def test_mixtures_that_make_no_sense(weights: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compute_hybrid_importance(Tied(), weights=weights)


def test_a_loader_that_can_be_read_once_is_not_enough_for_two_methods() -> None:
    with pytest.raises(ValueError, match="can be iterated again"):
        compute_hybrid_importance(Tied(), iter(tokens()), {"fisher": 1, "taylor": 1})
