"""Ranks that equals share, and their correlation."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from lottery_tickets import spearman
from lottery_tickets.spearman import correlation, mean_ranks

NUMBERS = st.lists(
    st.sampled_from([-math.inf, -2.0, -0.0, 0.0, 1e-40, 0.5, 3.0, math.inf]), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.sampled_from([1, 2, 3, 1 << 16]))
def test_ranks_are_those_of_scipy_wherever_the_pieces_end(numbers: list[float], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spearman, "PIECE", piece)
        values = torch.tensor(numbers)
        expected = (rankdata(numbers) - 1).tolist()
        assert mean_ranks(values).tolist() == expected
        assert mean_ranks(values, out=values, scale=0.5) is values
        assert values.tolist() == [rank / 2 for rank in expected]


def test_ranks_are_exact_where_fp32_is_not() -> None:
    many = (1 << 24) + 3
    found = mean_ranks(torch.arange(many, dtype=torch.float64).flip(0))
    assert torch.equal(found.flip(0), torch.arange(many, dtype=torch.float64))


def test_nan_has_no_rank() -> None:
    with pytest.raises(ValueError, match="a value is NaN: only numbers have ranks"):
        mean_ranks(torch.tensor([1.0, math.nan, 2.0]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=40))
def test_correlation_of_ranks_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    a, b = (torch.tensor(column, dtype=torch.float32) for column in zip(*pairs, strict=True))
    found = correlation(mean_ranks(a), mean_ranks(b))
    if len(a.unique()) == 1 or len(b.unique()) == 1:
        assert math.isnan(found)
        assert correlation(mean_ranks(a), mean_ranks(b), constant=0) == 0
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
