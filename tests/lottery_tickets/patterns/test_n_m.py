"""N of M along the reduction axis."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery_tickets import counts, is_subset, keep_n_of_m, prunable, prune, verify_n_of_m
from lottery_tickets.masks import Mask
from lottery_tickets.patterns import Axis, n_m, parse, reduction_axes

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def by_sorting(rows: Tensor, n: int, m: int, alive: Tensor) -> Tensor:
    """(rows, columns) group by group, with Python's stable sort."""
    kept = torch.zeros(rows.shape, dtype=torch.bool)
    for r in range(rows.shape[0]):
        for start in range(0, rows.shape[1], m):
            places = [c for c in range(start, start + m) if alive[r, c]]
            places.sort(key=lambda c: -float(rows[r, c]))
            kept[r, places[:n]] = True
    return kept


@pytest.mark.parametrize("piece", [n_m._PIECE, 7])
@settings(max_examples=80, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(1, 3)),
    pattern=st.integers(2, 8).flatmap(lambda m: st.tuples(st.integers(1, m - 1), st.just(m))),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
    few=st.booleans(),
    masked=st.booleans(),
)
def test_it_keeps_what_a_sort_would(
    piece: int,
    sizes: tuple[int, int, int],
    pattern: tuple[int, int],
    dtype: torch.dtype,
    seed: int,
    few: bool,
    masked: bool,
) -> None:
    (n, m), (out, groups, kernel) = pattern, sizes
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(out, groups * m, kernel, generator=generator)
    scores = (scores.round() if few else scores).to(dtype)
    alive = torch.rand(scores.shape, generator=generator) > (0.4 if masked else -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(n_m, "_PIECE", piece)
        mask = keep_n_of_m({"w": scores}, n, m, among={"w": alive} if masked else None)["w"]
        assert verify_n_of_m(mask, n, m)
    shape = (out * kernel, groups * m)
    rows, survivors, kept = (t.movedim(1, -1).reshape(shape) for t in (scores, alive, mask))
    assert torch.equal(kept, by_sorting(rows, n, m, survivors))


def test_ties_go_to_the_first() -> None:
    mask = keep_n_of_m({"w": torch.ones(1, 8)}, 2, 4)["w"]
    assert mask.int().tolist() == [[1, 1, 0, 0, 1, 1, 0, 0]]


def test_a_convolution_is_grouped_along_its_input_channels() -> None:
    """At each place of the kernel by itself, as ASP does; channels last in memory or not."""
    weight = torch.arange(2 * 4 * 3 * 3).view(2, 4, 3, 3).float()
    for one in (weight, weight.to(memory_format=torch.channels_last)):
        mask = keep_n_of_m({"w": one}, 2, 4)["w"]
        assert not mask[:, :2].any()
        assert mask[:, 2:].all()


def test_each_module_says_which_axis_it_sums_along() -> None:
    model = nn.ModuleDict(
        {
            "linear": nn.Linear(8, 3),
            "conv": nn.Conv1d(8, 4, 3, groups=2),
            "back": nn.ConvTranspose2d(8, 3, 2),
            "grouped": nn.ConvTranspose1d(8, 4, 2, groups=2),
        }
    )
    weights = prunable(model)
    axes = reduction_axes(model, weights)
    assert list(axes.values()) == [Axis(1), Axis(1, 2), Axis(0), Axis(0, 2)]
    assert [axes[n].length(tuple(w.shape)) for n, w in weights.items()] == [8, 4, 8, 4]
    mask = prune(model, pattern="2:4")
    assert all(verify_n_of_m(m, 2, 4, axis=axes[name]) for name, m in mask.items())
    assert all(2 * kept == total for kept, total in counts(mask).values())


def test_verify() -> None:
    good = torch.tensor([[0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 3.0]])
    assert verify_n_of_m(good, 2, 4)
    assert verify_n_of_m(good[0], 2, 4)
    assert verify_n_of_m(good.t(), 2, 4, axis=0)
    assert not verify_n_of_m(good, 1, 4)
    assert not verify_n_of_m(good[:, :6], 2, 4), "no whole groups"
    assert not verify_n_of_m(torch.tensor([[1.0, 1.0, torch.nan, 0.0]]), 2, 4)
    assert not verify_n_of_m(torch.tensor(0.0), 2, 4)
    crossing = torch.tensor([[0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    assert verify_n_of_m(crossing, 2, 4), "three in a row, but in two groups"


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize(("pattern", "left"), [("2:4", 80), ("4:8", 80), ("1:4", 40), ("3:4", 120)])
def test_prune_to_a_pattern(pattern: str, left: int) -> None:
    mask = prune(net(), pattern=pattern)
    n, m = parse(pattern)
    assert sum(kept for kept, _ in counts(mask).values()) == left
    assert all(verify_n_of_m(kept, n, m) for kept in mask.values())
    same = prune(net(), pattern=pattern, target_sparsity=1 - n / m)
    assert all(torch.equal(same[name], kept) for name, kept in mask.items())


def test_a_pattern_and_a_further_target() -> None:
    mask = prune(net(), pattern="2:4", target_sparsity=0.75)
    assert sum(kept for kept, _ in counts(mask).values()) == 40
    assert is_subset(mask, prune(net(), pattern="2:4"))
    more = prune(net(), pattern="2:4", target_sparsity=0.9, mask=mask, scope="erk")
    assert sum(kept for kept, _ in counts(more).values()) == 16
    assert is_subset(more, mask)
    with pytest.raises(ValueError, match=r"0\.3 is below the 0\.5 that pattern 2:4 prunes"):
        prune(net(), pattern="2:4", target_sparsity=0.3)


def test_a_pattern_among_survivors_and_with_scores_of_ones_own() -> None:
    parent = prune(net(), target_sparsity=0.6)
    mask = prune(net(), pattern="2:4", mask=parent)
    assert is_subset(mask, parent)
    assert is_subset(prune(net(), pattern="2:4", mask=mask), mask)
    scores = {name: -w.detach().abs() for name, w in prunable(net()).items()}
    least = prune(net(), pattern="2:4", score=scores)
    most = prune(net(), pattern="2:4")
    assert all(torch.equal(least[name], ~most[name]) for name in least)


def test_what_does_not_fit_is_listed_with_the_remedy() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"0\.weight \(8, 3, 3, 3\) has 3; 1\.weight") as refused:
        prune(model, pattern="2:4")
    assert "exclude=['0.weight', '1.weight']" in str(refused.value)
    assert list(prune(model, pattern="2:4", exclude=["0.weight", "1.weight"])) == ["2.weight"]


@pytest.mark.parametrize("pattern", ["4:2", "2:2", "0:4", "2:4:8", "half", "", "2.0:4"])
def test_a_pattern_that_is_none(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern is"):
        prune(net(), pattern=pattern)


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize(("value", "word"), [(torch.nan, "NaN"), (-torch.inf, "infinite")])
def test_a_broken_score_is_named(absolute: bool, value: float, word: str) -> None:
    scores = {"good": torch.ones(2, 4), "bad": torch.ones(3, 4, 2)}
    scores["bad"][1, 2, 1] = value
    with pytest.raises(ValueError, match=f"'bad' at flat index 13 is {word}"):
        keep_n_of_m(scores, 2, 4, absolute=absolute)
    among: Mask = {name: torch.isfinite(score) for name, score in scores.items()}
    assert not keep_n_of_m(scores, 2, 4, among=among)["bad"][1, 2, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_agrees(dtype: torch.dtype) -> None:
    scores = torch.randn(33, 64, 3, 3).to(dtype).mul(4).round()
    found = keep_n_of_m({"w": scores.cuda()}, 2, 4, absolute=True)["w"]
    assert torch.equal(found.cpu(), keep_n_of_m({"w": scores}, 2, 4, absolute=True)["w"])
