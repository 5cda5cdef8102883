"""How budgets are split over tensors."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery_tickets.budgets import erdos_renyi_kernel, split, uniform
from lottery_tickets.levels import Scope, keep_counts
from lottery_tickets.modules import prunable
from lottery_tickets.prune import prune

SHAPES = {
    "conv1.weight": (16, 3, 3, 3),
    "conv2.weight": (64, 16, 3, 3),
    "fc.weight": (100, 576),
    "head.weight": (10, 100),
}
SIZES = {name: torch.Size(shape).numel() for name, shape in SHAPES.items()}
DENSE = {name: (size, size) for name, size in SIZES.items()}


def kept(scope: Scope, target: float, **more: dict[str, float]) -> dict[str, int]:
    budgets = keep_counts(DENSE, target, scope=scope, shapes=SHAPES, **more)
    return {budget.names[0]: budget.keep for budget in budgets if len(budget.names) == 1}


def test_uniform_is_the_same_sparsity_everywhere() -> None:
    assert uniform(SIZES) == SIZES
    assert kept("uniform", 0.9) == {
        "conv1.weight": 43,  # 43.2
        "conv2.weight": 922,  # 921.6
        "fc.weight": 5760,
        "head.weight": 100,
    }


def test_uniform_brings_layers_of_uneven_sparsity_together() -> None:
    """Scope "layer" takes the same fraction of survivors instead, and one that has too few already keeps them."""
    counts = {"a": (100, 100), "b": (50, 100), "c": (10, 100)}
    for scope, expected in (("uniform", [45, 45, 10]), ("layer", [63, 31, 6])):
        budgets = keep_counts(counts, 2 / 3, scope=scope)
        assert [budget.keep for budget in budgets] == expected, scope


def test_erk_by_hand() -> None:
    """Kept goes as 25 : 86 : 676 : 110, the sums of dimensions (897 in all).

    Of 6,825 that is 190.2, 654.3, 5,143.5 and 837.0. Of 34,124 it would be 951 of conv1's 432 and 4,184 of head's
    1,000: they stay dense, and the other 32,692 go as 86 : 676, which is 3,689.7 and 29,002.3.
    """
    assert list(kept("erk", 0.9).values()) == [190, 654, 5144, 837]
    assert list(kept("erk", 0.5).values()) == [432, 3690, 29_002, 1000]


@given(
    shapes=st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=4), min_size=1, max_size=6),
    part=st.floats(0, 1),
)
def test_erk_keeps_a_density_in_proportion_unless_it_is_full(
    shapes: list[list[int]], part: float
) -> None:
    named = {f"w{i}": tuple(shape) for i, shape in enumerate(shapes)}
    sizes = {name: torch.Size(shape).numel() for name, shape in named.items()}
    whole = round(part * sum(sizes.values()))
    shares = erdos_renyi_kernel(named)
    parts = split(whole, shares, sizes)
    assert list(parts) == list(named)
    assert sum(parts.values()) == whole
    growing = [name for name in named if parts[name] < sizes[name]]
    assert all(0 <= parts[name] <= sizes[name] for name in named)
    for one in growing:
        for other in named:
            # Nobody has more per share than one who could take more, but for a whole weight.
            assert Fraction(parts[other] - 1, shares[other]) <= Fraction(
                parts[one] + 1, shares[one]
            )


def test_a_split_by_hand() -> None:
    assert split(10, {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 9, "c": 9}) == {"a": 2, "b": 4, "c": 4}
    assert split(9, {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 9, "c": 9}) == {"a": 2, "b": 4, "c": 3}
    assert split(0, {"a": 1}, {"a": 0}) == {"a": 0}
    assert split(20, {"a": 5, "b": 1}, {"a": 2, "b": 18}) == {"a": 2, "b": 18}


def test_a_sparsity_of_ones_own_is_met_and_the_others_make_up_for_it() -> None:
    first_dense = kept("uniform", 0.9, sparsities={"conv1": 0})
    assert first_dense["conv1.weight"] == SIZES["conv1.weight"]
    assert sum(first_dense.values()) == 68_248 - round(0.9 * 68_248)
    pool, head = keep_counts(DENSE, 0.5, sparsities={"head": 1})
    assert head.keep == 0
    assert pool.keep == 68_248 - 34_124


def test_sparsities_alone_prune_nothing_else() -> None:
    budgets = keep_counts(DENSE, None, sparsities={"fc": 0.25, "conv?": 0.5})
    assert {b.names[0]: b.keep for b in budgets} == {
        "conv1.weight": 216,
        "conv2.weight": 4608,
        "fc.weight": 43_200,
        "head.weight": 1000,
    }


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        (None, {}, "target_sparsity is missing"),
        (90, {}, r"target_sparsity is 90.*0\.9 for 90 %"),
        (0.5, {"sparsities": {"fc": 1.5}}, r"sparsity of 'fc\.weight' is 1\.5"),
        (0.5, {"sparsities": {"fc": 0.9}}, "below what sparsities ask of fc.weight alone"),
        (0.9, {"sparsities": {"fc": 0}}, r"largest reachable here is 0\.156"),
        (0.5, {"sparsities": {"fx": 0}}, "'fx' matches no"),
        (0.5, {"sparsities": {"fc": 0, "f*": 0.1}}, "has two sparsities, 0 and 0.1"),
        (0.5, {"sparsities": {"fc": 0}, "rate_factors": {"fc": 2}}, "both name fc.weight"),
        (0.5, {"scope": "erk"}, "shapes is missing"),
    ],
)
def test_what_cannot_be_is_refused(
    target: float | None, more: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        keep_counts(DENSE, target, **more)  # type: ignore[arg-type]


def test_a_sparsity_below_the_present_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.weight \(0\.2, already at 0\.5\)"):
        keep_counts({"a.weight": (5, 10), "b.weight": (9, 10)}, 0.6, sparsities={"a": 0.2})


@pytest.mark.parametrize("scope", ["global", "layer", "uniform", "erk", "lamp"])
def test_every_scope_is_exact_in_a_network_and_never_revives(scope: Scope) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ConvTranspose2d(8, 4, 3), torch.nn.Linear(30, 20)
    )
    total = sum(weight.numel() for weight in prunable(model).values())
    mask = None
    for target in (0.0, 0.3, 0.6, 0.75):
        new = prune(model, target_sparsity=target, mask=mask, scope=scope, rate_factors={"2": 0.5})
        assert sum(int(m.sum()) for m in new.values()) == total - round(target * total)
        assert mask is None or all(bool((mask[name] | ~new[name]).all()) for name in new)
        mask = new
