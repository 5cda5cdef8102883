"""LAMP against its definition in exact fractions."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lottery_tickets import lamp, ranking
from lottery_tickets.lamp import lamp_counts
from lottery_tickets.masks import Mask, counts
from lottery_tickets.prune import prune

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def by_definition(
    weights: dict[str, Tensor], keep: int, among: Mask | None = None
) -> dict[str, int]:
    """Every score as a fraction, sorted."""
    entries = []
    for place, (name, weight) in enumerate(weights.items()):
        flat = weight.double().reshape(-1)
        if among is not None:
            flat = flat[among[name].reshape(-1)]
        total = Fraction(0)
        for square in sorted((Fraction(value) ** 2 for value in flat.tolist()), reverse=True):
            total += square
            entries.append((-(square / total if total else 0), place, name))
    chosen = [name for _, _, name in sorted(entries)[:keep]]
    return {name: chosen.count(name) for name in weights}


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Tensor]:
    weights = {}
    dtype = draw(st.sampled_from((*DTYPES, None)))
    for i in range(draw(st.integers(1, 4))):
        values = draw(
            st.one_of(
                st.lists(st.floats(-8, 8, width=16), max_size=30),
                st.lists(st.sampled_from([0.0, 0.5, -0.5, 1.0]), max_size=30),
                st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=10),
                st.floats(1e-3, 1).flatmap(lambda v: st.integers(0, 40).map(lambda n: [v] * n)),
            )
        )
        own = dtype or draw(st.sampled_from(DTYPES))
        tensor = torch.tensor(values, dtype=torch.float32)
        weights[f"w{i}"] = tensor.clamp(-6e4, 6e4).to(own) if own == torch.float16 else tensor
        if own == torch.bfloat16:
            weights[f"w{i}"] = tensor.clamp(-1e38, 1e38).to(own)
    return weights


@settings(max_examples=120, deadline=None)
@given(weights=layers(), data=st.data())
def test_the_counts_are_those_of_the_definition(
    weights: dict[str, Tensor], data: st.DataObject
) -> None:
    among = None
    if data.draw(st.booleans()):
        among = {
            name: torch.tensor(
                data.draw(st.lists(st.booleans(), min_size=len(w), max_size=len(w))),
                dtype=torch.bool,
            )
            for name, w in weights.items()
        }
    left = sum(int(m.sum()) for m in among.values()) if among else sum(map(len, weights.values()))
    keep = data.draw(st.integers(0, left))
    found = lamp_counts(weights, keep, among=among)
    assert list(found) == list(weights)
    assert found == by_definition(weights, keep, among)


@pytest.mark.parametrize("few", [0, 16])
def test_layers_of_which_one_says_nothing_before_it_is_looked_into(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lamp, "_FEW", few)
    monkeypatch.setattr(ranking, "PIECE", 100)
    generator = torch.Generator().manual_seed(0)
    weights = {
        "alike": torch.full((300,), 0.3),
        "normal": torch.randn(400, generator=generator),
        "wide": (torch.randn(300, generator=generator) * 15).exp(),
    }
    for keep in (1, 3, 50, 500, 999):
        assert lamp_counts(weights, keep) == by_definition(weights, keep)


def test_threads_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PIECE", 500)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(5_000, generator=generator) * 10**i for i, name in enumerate("abc")
    }
    expected = lamp_counts(weights, 1_234)
    try:
        torch.set_num_threads(4)
        assert lamp_counts(weights, 1_234) == expected
    finally:
        torch.set_num_threads(1)


def test_the_scale_of_a_layer_does_not_matter() -> None:
    """The reason for LAMP: globally, the layer of small weights would be lost."""
    generator = torch.Generator().manual_seed(2)
    weights = {name: torch.randn(1_000, generator=generator) for name in "ab"}
    scaled = {"a": weights["a"], "b": weights["b"] / 1024}
    assert lamp_counts(scaled, 300) == lamp_counts(weights, 300)
    assert counts(prune(scaled, target_sparsity=0.85))["b"] == (0, 1_000)
    kept = counts(prune(scaled, target_sparsity=0.85, scope="lamp"))
    assert kept["b"][0] > 100


def test_prune_keeps_the_largest_of_each_layer() -> None:
    generator = torch.Generator().manual_seed(3)
    weights = {name: torch.randn(40, 10, generator=generator) for name in "abc"}
    weights["c"] *= weights["c"]
    mask = prune(weights, target_sparsity=0.7, scope="lamp")
    expected = by_definition(weights, 360)
    for name, weight in weights.items():
        assert int(mask[name].sum()) == expected[name]
        assert weight[mask[name]].abs().min() > weight[~mask[name]].abs().max()


def test_scores_of_ones_own_fill_the_budgets_that_magnitudes_make() -> None:
    generator = torch.Generator().manual_seed(4)
    weights = {name: torch.randn(100, generator=generator) for name in "ab"}
    scores = {name: -weight.abs() for name, weight in weights.items()}
    mask = prune(weights, target_sparsity=0.5, scope="lamp", score=scores)
    assert {name: kept for name, (kept, _) in counts(mask).items()} == by_definition(weights, 100)
    assert weights["a"][mask["a"]].abs().max() < weights["a"][~mask["a"]].abs().min()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bad_input_is_named(dtype: torch.dtype) -> None:
    weights = {"a": torch.ones(3, dtype=dtype), "b": torch.ones(4, dtype=dtype)}
    with pytest.raises(ValueError, match="keep is 8: use 0 to 7"):
        lamp_counts(weights, 8)
    with pytest.raises(ValueError, match="'b' has no mask"):
        lamp_counts(weights, 1, among={"a": torch.ones(3, dtype=torch.bool)})
    for broken, word in ((torch.nan, "NaN"), (-torch.inf, "infinite")):
        weights["b"][2] = broken
        with pytest.raises(ValueError, match=f"the weight 'b' at flat index 2 is {word}"):
            lamp_counts(weights, 3)
        alive = {"a": torch.ones(3, dtype=torch.bool), "b": torch.arange(4) < 2}
        assert lamp_counts(weights, 4, among=alive) == {"a": 2, "b": 2}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_agrees(dtype: torch.dtype) -> None:
    weights = {"a": torch.randn(300, 30).to(dtype), "b": torch.rand(7_000).to(dtype)}
    moved = {name: weight.cuda() for name, weight in weights.items()}
    assert lamp_counts(moved, 1_234) == lamp_counts(weights, 1_234)
