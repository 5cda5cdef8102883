"""A sample may guide the search for the cut; it never decides it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lottery_tickets import cutting, select, threshold
from lottery_tickets.ranking import Ranking

MANY = 301_237


@pytest.fixture(autouse=True)
def _sample_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if these were very many scores."""
    monkeypatch.setattr(cutting, "SAMPLED_FROM", MANY)
    monkeypatch.setattr(cutting, "FEW", 1 << 16)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of scores of which every key was counted."""
    seen: list[int] = []
    histogram = Ranking.histogram

    def watched(ranking: Ranking, *given: Any, **options: Any) -> Tensor:
        seen.append(ranking.total)
        return histogram(ranking, *given, **options)

    monkeypatch.setattr(Ranking, "histogram", watched)
    return seen


def drawn(dtype: torch.dtype, *, count: int = MANY) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0)).to(dtype)


def expected(scores: Tensor, keep: int, absolute: bool) -> Tensor:
    """The mask, by a stable sort."""
    values = scores.abs() if absolute else scores
    order = values.float().sort(descending=True, stable=True).indices
    mask = torch.zeros(len(scores), dtype=torch.bool)
    mask[order[:keep]] = True
    return mask


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_many_scores_of_16_bits(
    dtype: torch.dtype, share: float, absolute: bool, counted: list[int]
) -> None:
    scores = drawn(dtype)
    keep = round(share * MANY)
    sizes = [MANY - 100_003, 100_000, 3]
    parts = {f"w{i}": part for i, part in enumerate(scores.split(sizes))}
    mask = select(parts, keep, absolute=absolute)
    assert torch.equal(torch.cat(list(mask.values())), expected(scores, keep, absolute))
    assert max(counted) < MANY / 15, "only the sample is counted"


def test_sixteen_million_scores_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    scores = {"w": drawn(torch.bfloat16, count=cutting.SAMPLED_FROM)}
    keep = round(0.8 * cutting.SAMPLED_FROM)
    found = cutting._among_few(Ranking(scores, None, absolute=True), keep)
    assert found == cutting._among_all(Ranking(scores, None, absolute=True), keep)


def test_among_survivors(counted: list[int]) -> None:
    scores = drawn(torch.bfloat16)
    alive = torch.rand(MANY, generator=torch.Generator().manual_seed(1)) < 0.6
    keep = int(alive.sum()) // 2
    for absolute in (True, False):
        mask = select({"w": scores}, keep, among={"w": alive}, absolute=absolute)["w"]
        assert int(mask.sum()) == keep
        assert not (mask & ~alive).any()
        values = scores.abs() if absolute else scores
        assert values[mask].min() >= values[alive & ~mask].max()
    assert max(counted) < MANY / 15


def test_few_values_and_their_ties(counted: list[int]) -> None:
    scores = drawn(torch.bfloat16).sign()
    scores[::3] = 0
    keep = MANY // 4
    mask = select({"w": scores}, keep)["w"]
    assert torch.equal(mask, expected(scores, keep, absolute=False))
    assert max(counted) < MANY / 15


def test_a_sample_that_misleads_costs_time_alone(counted: list[int]) -> None:
    scores = drawn(torch.bfloat16).abs() + 1
    runs = len(scores) // 1024
    scores[: runs * 1024].view(runs, 1024)[:, :64] = 0.5  # what is drawn, and nothing else
    keep = MANY // 2
    assert torch.equal(
        select({"w": scores}, keep, absolute=True)["w"], expected(scores, keep, absolute=True)
    )
    assert max(counted) == MANY


@pytest.mark.parametrize(
    ("value", "finite", "absolute", "said"),
    [
        (torch.nan, False, True, "index 300000 is NaN"),
        (torch.nan, False, False, "index 300000 is NaN"),
        (torch.inf, True, False, "index 300000 is infinite"),
        (-torch.inf, True, False, "index 300000 is infinite"),
    ],
)
def test_what_is_no_number_is_told_of(
    value: float, finite: bool, absolute: bool, said: str
) -> None:
    scores = drawn(torch.bfloat16)
    scores[300_000] = value
    with pytest.raises(ValueError, match=said):
        select({"w": scores}, MANY // 2, absolute=absolute, finite=finite)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf])
def test_infinities_are_scores(value: float) -> None:
    scores = drawn(torch.bfloat16)
    scores[::2] = value
    for keep in (MANY // 4, MANY // 2, 3 * MANY // 4):
        mask = select({"w": scores}, keep)["w"]
        assert torch.equal(mask, expected(scores, keep, absolute=False))


def columns(scores: Tensor) -> Tensor:
    return scores[: 1 << 18].view(1 << 9, 1 << 9).t()


def whole(scores: Tensor) -> Tensor:
    return scores


@pytest.mark.parametrize("shape", [whole, columns])
def test_the_threshold_is_the_sorts(
    shape: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "SAMPLED_FROM", 1 << 18)
    scores = shape(drawn(torch.bfloat16))
    keep = scores.numel() // 3
    wanted = scores.abs().flatten().float().sort(descending=True).values[keep - 1]
    assert threshold({"w": scores}, keep, absolute=True) == float(wanted)
