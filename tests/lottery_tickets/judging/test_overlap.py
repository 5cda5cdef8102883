"""Overlap of masks, and what chance gives: against enumeration and against simulation."""

import math
from itertools import combinations
from math import comb
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lottery_tickets import PruningMask, compute_ticket_overlap, random_like
from lottery_tickets.judging import chance
from lottery_tickets.judging.chance import shared, together
from lottery_tickets.judging.overlap import Overlap

METHODS: list[Overlap] = ["jaccard", "dice", "overlap"]


def mask_of(*bits: str) -> dict[str, Tensor]:
    return {f"layer{n}": torch.tensor([b == "1" for b in row]) for n, row in enumerate(bits)}


def by_sets(one: set[Any], other: set[Any], method: Overlap) -> float:
    if not one or not other:
        return float(one == other)
    both = len(one & other)
    below = {
        "jaccard": len(one | other),
        "dice": (len(one) + len(other)) / 2,
        "overlap": min(len(one), len(other)),
    }
    return both / below[method]


def flat(mask: dict[str, Tensor]) -> set[tuple[str, int]]:
    return {(name, int(place)) for name, kept in mask.items() for place in kept.nonzero()}


@given(
    one=st.lists(st.text("01", min_size=1, max_size=6), min_size=1, max_size=3),
    method=st.sampled_from(METHODS),
    data=st.data(),
)
def test_overlaps_are_those_of_sets(one: list[str], method: Overlap, data: st.DataObject) -> None:
    other = [data.draw(st.text("01", min_size=len(row), max_size=len(row))) for row in one]
    mask1, mask2 = mask_of(*one), mask_of(*other)
    found = compute_ticket_overlap(mask1, mask2, method)
    assert found["overall_overlap"] == pytest.approx(by_sets(flat(mask1), flat(mask2), method))
    for name in mask1:
        alone = by_sets(flat({name: mask1[name]}), flat({name: mask2[name]}), method)
        assert found["layer_overlaps"][name] == pytest.approx(alone)


@pytest.mark.parametrize("method", METHODS)
def test_chance_is_the_mean_over_every_pair_of_masks(method: Overlap) -> None:
    sizes, kept = (4, 3), ((2, 3), (1, 2))
    overall, per_layer = [], []
    layer1 = (
        [set(c) for c in combinations(range(4), 2)],
        [set(c) for c in combinations(range(4), 3)],
    )
    layer2 = (
        [{10 + x for x in c} for c in combinations(range(3), 1)],
        [{10 + x for x in c} for c in combinations(range(3), 2)],
    )
    for a in layer1[0]:
        for b in layer1[1]:
            per_layer.append(by_sets(a, b, method))
            overall += [by_sets(a | c, b | d, method) for c in layer2[0] for d in layer2[1]]
    mask1 = mask_of("1100", "100")
    mask2 = mask_of("1110", "110")
    assert [len(k) for k in mask1.values()] == list(sizes)
    assert [
        (int(a.sum()), int(b.sum())) for a, b in zip(mask1.values(), mask2.values(), strict=True)
    ] == list(kept)
    found = compute_ticket_overlap(mask1, mask2, method)
    mean = sum(overall) / len(overall)
    assert found["expected_by_chance"] == pytest.approx(mean, rel=1e-12)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in overall) / len(overall))
    assert found["chance_deviation"] == pytest.approx(deviation, rel=1e-9)
    assert found["layer_expected"]["layer0"] == pytest.approx(
        sum(per_layer) / len(per_layer), rel=1e-12
    )
    assert found["excess_over_chance"] == found["overall_overlap"] - found["expected_by_chance"]


@pytest.mark.parametrize("method", METHODS)
def test_chance_agrees_with_simulation(method: Overlap) -> None:
    generator = torch.Generator().manual_seed(0)
    mask1 = {"a": torch.rand(60, 20, generator=generator) < 0.1, "b": torch.rand(300) < 0.6}
    mask2 = {"a": torch.rand(60, 20, generator=generator) < 0.3, "b": torch.rand(300) < 0.5}
    found = compute_ticket_overlap(mask1, mask2, method)
    drawn = [
        compute_ticket_overlap(mask1, random_like(mask2, generator), method)["overall_overlap"]
        for _ in range(300)
    ]
    mean = sum(drawn) / len(drawn)
    spread = math.sqrt(sum((x - mean) ** 2 for x in drawn) / (len(drawn) - 1))
    assert abs(mean - found["expected_by_chance"]) < 4 * spread / math.sqrt(len(drawn))
    assert spread == pytest.approx(found["chance_deviation"], rel=0.2)


@given(st.integers(0, 30), st.data())
def test_the_distribution_is_the_hypergeometric(total: int, data: st.DataObject) -> None:
    one, other = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    found = shared(total, one, other)
    for place, probability in enumerate(found.probability.tolist()):
        x = found.first + place
        exact = comb(one, x) * comb(total - one, other - x) / comb(total, other)
        assert probability == pytest.approx(exact, rel=1e-12)
    assert float(found.probability.sum()) == pytest.approx(1)


def test_large_layers_keep_their_digits() -> None:
    """Of a billion weights: mean and variance are known in closed form."""
    n, k1, k2 = 10**9, 10**8, 3 * 10**8
    found = shared(n, k1, k2)
    mean, deviation = found.mean(lambda x: x)
    assert mean == pytest.approx(k1 * k2 / n, rel=1e-12)
    variance = k1 * (k2 / n) * (1 - k2 / n) * (n - k1) / (n - 1)
    assert deviation == pytest.approx(math.sqrt(variance), rel=1e-7)
    assert len(found.probability) < 200_000


def test_sums_by_fourier_transform_equal_direct_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [shared(10**5, 10**4, 3 * 10**4), shared(5000, 900, 2500), shared(10, 3, 3)] * 2
    fast = together(layers)
    monkeypatch.setattr(chance, "_DIRECT", 10**9)
    direct = together(layers)
    assert fast.mean(lambda x: x) == pytest.approx(direct.mean(lambda x: x), rel=1e-9)
    variance = sum(layer.mean(lambda x: x)[1] ** 2 for layer in layers)
    assert direct.mean(lambda x: x)[1] == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_masks_may_be_mappings_and_empty_layers_are_defined() -> None:
    mask = mask_of("0000", "11")
    other = mask_of("0000", "00")
    found = compute_ticket_overlap(PruningMask.of(mask), PruningMask.of(other))
    assert found["layer_overlaps"] == {"layer0": 1.0, "layer1": 0.0}
    assert (found["kept_by_both"], found["kept_by_either"], found["total"]) == (0, 2, 6)
    same = compute_ticket_overlap(mask, mask)
    assert same["overall_overlap"] == 1
    assert same["excess_over_chance"] == 0  # both keep all of the only layer that keeps anything


def test_wrong_input_is_told() -> None:
    mask = mask_of("01", "10")
    with pytest.raises(ValueError, match="method is 'cosine': use 'jaccard', 'dice' or 'overlap'"):
        compute_ticket_overlap(mask, mask, "cosine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'layer1' is not among"):
        compute_ticket_overlap(mask, mask_of("01"))
    with pytest.raises(ValueError, match=r"torch\.float32 instead of torch\.bool"):
        compute_ticket_overlap(mask, {name: kept.float() for name, kept in mask.items()})
    with pytest.raises(ValueError, match="nothing to compare"):
        compute_ticket_overlap({}, {})
