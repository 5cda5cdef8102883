"""Orders of channels in which a pattern keeps more."""

import itertools

import pytest
import torch

from lottery_tickets import keep_n_of_m, search_channel_order, verify_n_of_m


def kept(scores: torch.Tensor, order: tuple[int, ...]) -> float:
    there = scores[:, list(order)]
    return float((there * keep_n_of_m({"w": there}, 2, 4)["w"]).sum())


def test_it_parts_what_stands_in_each_others_way() -> None:
    """Four heavy columns in one group: two must go there, none need go after a swap."""
    scores = torch.tensor([[9.0, 9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0]]).repeat(3, 1)
    found = search_channel_order(scores)
    assert (found.before, found.after) == (3 * 20, 3 * 36)
    assert found.gained == pytest.approx(0.8)
    assert found.mask.tolist() == [[True] * 4 + [False] * 4] * 3
    assert verify_n_of_m(found.mask[:, found.order], 2, 4)


@pytest.mark.parametrize("seed", range(6))
def test_it_comes_near_to_the_best_order_there_is(seed: int) -> None:
    scores = torch.rand(4, 8, generator=torch.Generator().manual_seed(seed)) ** 4
    found = search_channel_order(scores)
    halves = [(0, *c) for c in itertools.combinations(range(1, 8), 3)]
    best = max(kept(scores, (*h, *(c for c in range(8) if c not in h))) for h in halves)
    assert found.before == pytest.approx(kept(scores, tuple(range(8))))
    assert found.after == pytest.approx(kept(scores, tuple(found.order.tolist())))
    assert 0.97 * best <= found.after <= best + 1e-6
    assert found.after >= found.before


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "4:8"])
def test_the_mask_is_for_channels_where_they_are(pattern: str) -> None:
    n, m = map(int, pattern.split(":"))
    scores = torch.rand(6, 48, 3, generator=torch.Generator().manual_seed(0)) ** 3
    found = search_channel_order(scores, pattern, window=16)
    assert sorted(found.order.tolist()) == list(range(48))
    assert {c // 16 for c in found.order[:16].tolist()} == {0}, "within its window"
    assert verify_n_of_m(found.mask.index_select(1, found.order), n, m)
    assert int(found.mask.sum()) * m == scores.numel() * n
    assert found.after == pytest.approx(float((scores * found.mask).sum()), rel=1e-5)
    assert found.after > found.before
    again = search_channel_order(scores, pattern, window=16)
    assert torch.equal(again.order, found.order)


def test_a_transposed_convolution_along_its_own_axis() -> None:
    scores = torch.rand(16, 5, 2, generator=torch.Generator().manual_seed(0)) ** 3
    found = search_channel_order(scores, axis=0)
    assert verify_n_of_m(found.mask.index_select(0, found.order), 2, 4, axis=0)
    straight = search_channel_order(scores.transpose(0, 1), axis=1)
    assert torch.equal(straight.order, found.order)


def test_no_swaps_no_change() -> None:
    scores = torch.rand(4, 16)
    found = search_channel_order(scores, max_swaps=0)
    assert found.order.tolist() == list(range(16))
    assert found.gained == 0
    one_group = search_channel_order(torch.rand(4, 4))
    assert one_group.order.tolist() == list(range(4))


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="has 6"):
        search_channel_order(torch.rand(2, 6))
    with pytest.raises(ValueError, match="window is 4: use 8"):
        search_channel_order(torch.rand(2, 8), window=4)
    with pytest.raises(ValueError, match="max_swaps is -1"):
        search_channel_order(torch.rand(2, 8), max_swaps=-1)
    with pytest.raises(ValueError, match="negative"):
        search_channel_order(torch.rand(2, 8) - 0.5)
    with pytest.raises(ValueError, match="at flat index 3 is NaN"):
        search_channel_order(torch.tensor([[1.0, 1.0, 1.0, torch.nan]]))
