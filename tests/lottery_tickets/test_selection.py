"""Selection against an oracle that sorts, over every kind of score that has ever been trouble."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lottery_tickets import ranking
from lottery_tickets.masks import Mask
from lottery_tickets.selection import select, select_per_layer, threshold

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INFINITY = float("inf")
AWKWARD = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.0000001,
    1e-45,
    -1e-45,
    1e-40,
    6e-8,
    65504.0,
    3e38,
    INFINITY,
    -INFINITY,
)


@dataclass(frozen=True)
class Case:
    scores: dict[str, Tensor]
    among: Mask | None
    keep: int
    absolute: bool

    @property
    def survivors(self) -> Mask:
        return self.among or {
            n: torch.ones(s.shape, dtype=torch.bool) for n, s in self.scores.items()
        }


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(0, 5), min_size=0, max_size=3)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    few = draw(st.booleans())  # few different values: ties everywhere
    value = st.sampled_from(AWKWARD) if few else st.floats(width=32, allow_nan=False)
    one_dtype = draw(st.sampled_from((*DTYPES, None)))
    scores = {}
    for i, shape in enumerate(draw(st.lists(shapes(), min_size=0, max_size=4))):
        count = torch.Size(shape).numel()
        values = draw(st.lists(value, min_size=count, max_size=count))
        dtype = one_dtype or draw(st.sampled_from(DTYPES))
        scores[f"w{i}"] = torch.tensor(values, dtype=torch.float32).to(dtype).view(shape)
    among = None
    if draw(st.booleans()):
        among = {
            name: torch.tensor(
                draw(st.lists(st.booleans(), min_size=s.numel(), max_size=s.numel())),
                dtype=torch.bool,
            ).view(s.shape)
            for name, s in scores.items()
        }
    case = Case(scores, among, 0, draw(st.booleans()))
    left = sum(int(mask.sum()) for mask in case.survivors.values())
    return replace(case, keep=draw(st.integers(0, left)))


def ranked(case: Case) -> list[tuple[float, str, int]]:
    """Survivors, best first: Python's stable sort keeps parameter order and flat index among equals."""
    entries = [
        (abs(value) if case.absolute else value, name, index)
        for name, score in case.scores.items()
        for index, (value, alive) in enumerate(
            zip(score.reshape(-1).tolist(), case.survivors[name].reshape(-1).tolist(), strict=True)
        )
        if alive
    ]
    return sorted(entries, key=lambda entry: -entry[0])


def by_sorting(case: Case) -> Mask:
    mask = {n: torch.zeros(s.numel(), dtype=torch.bool) for n, s in case.scores.items()}
    for _, name, index in ranked(case)[: case.keep]:
        mask[name][index] = True
    return {name: kept.view(case.scores[name].shape) for name, kept in mask.items()}


def assert_same(mask: Mask, expected: Mask) -> None:
    assert list(mask) == list(expected)
    for name in expected:
        assert mask[name].dtype == torch.bool
        assert torch.equal(mask[name], expected[name]), name


@pytest.mark.parametrize("piece", [ranking.PIECE, 3])
@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_select_keeps_what_a_sort_would(piece: int, case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "PIECE", piece)
        mask = select(case.scores, case.keep, among=case.among, absolute=case.absolute)
    assert_same(mask, by_sorting(case))


@pytest.mark.parametrize("keep", [1, 1_500, 2_999])
def test_threads_do_not_change_what_is_kept(keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PIECE", 100)
    scores = {name: torch.randn(1_500).mul(3).round() for name in "ab"}
    expected = by_sorting(Case(scores, None, keep, absolute=True))
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            assert_same(select(scores, keep, absolute=True), expected)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)


@settings(max_examples=100, deadline=None)
@given(case=cases().filter(lambda case: case.keep > 0))
def test_threshold_is_the_value_a_sort_would_find(case: Case) -> None:
    found = threshold(case.scores, case.keep, among=case.among, absolute=case.absolute)
    assert found == ranked(case)[case.keep - 1][0]


@settings(max_examples=50, deadline=None)
@given(case=cases(), data=st.data())
def test_per_layer_is_select_within_each_tensor(case: Case, data: st.DataObject) -> None:
    keep = {name: data.draw(st.integers(0, int(m.sum()))) for name, m in case.survivors.items()}
    expected: Mask = {}
    for name, score in case.scores.items():
        alone = Case({name: score}, {name: case.survivors[name]}, keep[name], case.absolute)
        expected |= by_sorting(alone)
    mask = select_per_layer(case.scores, keep, among=case.among, absolute=case.absolute)
    assert_same(mask, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("keep", [1, 7_000, 29_999])
def test_larger_tensors_of_every_dtype(dtype: torch.dtype, absolute: bool, keep: int) -> None:
    generator = torch.Generator().manual_seed(keep)
    scores = {
        "a": torch.randn(100, 200, generator=generator).to(dtype),
        "b": (torch.randn(10_000, generator=generator) * 1e-3).to(dtype),
    }
    mask = select(scores, keep, absolute=absolute)
    assert_same(mask, by_sorting(Case(scores, None, keep, absolute)))


@pytest.mark.parametrize(
    "distribution",
    [
        lambda n: torch.full((n,), 0.5),
        lambda n: torch.zeros(n),
        lambda n: (torch.arange(n) % 3).float(),
        lambda n: torch.where(torch.arange(n) % 2 == 0, 1.0, -1.0),
        lambda n: torch.arange(n, dtype=torch.int32).view(torch.float32),  # denormals, one bin
    ],
)
def test_heavy_ties_go_to_the_lowest_index(distribution: Callable[[int], Tensor]) -> None:
    scores = {"first": distribution(5_000), "second": distribution(3_000)}
    case = Case(scores, None, 4_321, absolute=True)
    assert_same(select(scores, 4_321, absolute=True), by_sorting(case))


def test_ties_follow_the_order_of_parameters() -> None:
    one = torch.ones(4)
    assert select({"a": one, "b": one}, 5)["b"].tolist() == [True, False, False, False]
    assert select({"b": one, "a": one}, 5)["a"].tolist() == [True, False, False, False]


def test_flat_index_is_row_major_whatever_the_strides() -> None:
    transposed = torch.ones(6, 4).t()
    channels_last = torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "PIECE", 5)
        mask = select({"t": transposed, "c": channels_last}, 24 + 31)
    assert mask["t"].all()
    assert mask["c"].reshape(-1).tolist() == [True] * 31 + [False] * 65


def test_magnitude_of_raw_weights_equals_scores_of_magnitude() -> None:
    weights = {"w": torch.nn.Parameter(torch.randn(50, 50))}
    assert_same(select(weights, 99, absolute=True), select({"w": weights["w"].detach().abs()}, 99))


def test_nested_levels_only_remove() -> None:
    scores = {"w": torch.randn(1_000)}
    before = select(scores, 500, absolute=True)
    after = select({"w": -scores["w"]}, 100, among=before)
    assert int(after["w"].sum()) == 100
    assert not (after["w"] & ~before["w"]).any()


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [1, -1])
def test_nan_is_refused_by_name_and_index(absolute: bool, dtype: torch.dtype, bits: int) -> None:
    """Also the NaN whose pattern is next to infinity's, of either sign."""
    integer = torch.int32 if dtype == torch.float32 else torch.int16
    broken = torch.full((10,), torch.inf, dtype=dtype)
    pattern = int(broken[0].view(integer)) + 1
    broken.view(integer)[7] = pattern if bits > 0 else pattern - torch.iinfo(integer).max - 1
    assert broken[7].isnan()
    for keep in (0, 3):
        with pytest.raises(ValueError, match="'bad' at flat index 7 is NaN"):
            select({"good": broken[:7], "bad": broken}, keep, absolute=absolute)


def test_torch_has_its_threads_back_after_an_error() -> None:
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="is NaN"):
            threshold({"w": torch.tensor([1.0, torch.nan])}, 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [torch.inf, -torch.inf])
@pytest.mark.parametrize("absolute", [True, False])
def test_infinity_is_a_score_unless_all_must_be_finite(
    dtype: torch.dtype, value: float, absolute: bool
) -> None:
    largest = torch.full((6,), torch.finfo(dtype).max, dtype=dtype)
    assert int(select({"w": largest}, 3, absolute=absolute, finite=True)["w"].sum()) == 3
    largest[4] = value
    kept = select({"w": largest}, 1, absolute=absolute)["w"]
    assert kept.tolist().index(True) == (4 if absolute or value > 0 else 0)
    what = "the weight" if absolute else "the score of"
    with pytest.raises(ValueError, match=f"{what} 'w' at flat index 4 is infinite"):
        select({"w": largest}, 1, absolute=absolute, finite=True)
    alive = {"w": torch.arange(6) != 4}
    assert select({"w": largest}, 5, absolute=absolute, finite=True, among=alive)["w"].sum() == 5


def test_a_pruned_nan_does_not_matter() -> None:
    alive = {"w": torch.tensor([True, False, True])}
    mask = select({"w": torch.tensor([1.0, torch.nan, 2.0])}, 1, among=alive)
    assert mask["w"].tolist() == [False, False, True]


def test_bad_input_is_named() -> None:
    scores = {"w": torch.ones(3)}
    with pytest.raises(ValueError, match="keep is 4: use 0 to 3"):
        select(scores, 4)
    with pytest.raises(ValueError, match="keep is -1"):
        select(scores, -1)
    with pytest.raises(ValueError, match=r"'w' are torch\.float64"):
        select({"w": torch.ones(3, dtype=torch.float64)}, 1)
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\).*'v'"):
        select(scores, 1, among={"w": torch.ones(2, dtype=torch.bool), "v": torch.ones(1) > 0})
    with pytest.raises(ValueError, match=r"torch\.float32 instead of torch\.bool"):
        select(scores, 1, among={"w": torch.ones(3)})
    with pytest.raises(ValueError, match="keep is 0"):
        threshold(scores, 0)
    with pytest.raises(ValueError, match="'v'"):
        select_per_layer(scores, {"w": 1, "v": 1})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_agrees_bit_for_bit(dtype: torch.dtype) -> None:
    scores = {"a": torch.randn(300, 300).to(dtype), "b": torch.randn(7_000).to(dtype)}
    moved = {name: score.cuda() for name, score in scores.items()}
    for absolute in (True, False):
        mask = select(moved, 12_345, absolute=absolute)
        assert_same(
            {n: m.cpu() for n, m in mask.items()}, select(scores, 12_345, absolute=absolute)
        )
