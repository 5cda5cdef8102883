"""How many weights each level keeps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery_tickets.levels import Budget, Scope, keep_counts

LENET = {
    "fc1.weight": (235_200, 235_200),
    "fc2.weight": (30_000, 30_000),
    "fc3.weight": (1_000, 1_000),
}


def test_global_is_one_budget() -> None:
    assert keep_counts(LENET, 0.2) == [Budget(tuple(LENET), 212_960)]


def test_layer_is_a_budget_each() -> None:
    kept = [budget.keep for budget in keep_counts(LENET, 0.2, scope="layer")]
    assert kept == [188_160, 24_000, 800]


def test_the_output_layer_at_half_the_rate() -> None:
    """By hand: r = 53,240 / (235,200 + 30,000 + 500) = 0.2003764; they lose 47,128.5, 6,011.3 and 100.2."""
    budgets = keep_counts(LENET, 0.2, scope="layer", rate_factors={"fc3": 0.5})
    lost = [LENET[budget.names[0]][0] - budget.keep for budget in budgets]
    assert lost == [47_129, 6_011, 100]


def test_globally_a_factored_tensor_leaves_the_pool() -> None:
    pool, alone = keep_counts(LENET, 0.2, rate_factors={"fc3": 0.5})
    assert pool == Budget(("fc1.weight", "fc2.weight"), 212_960 - 900)
    assert alone == Budget(("fc3.weight",), 900)


def test_a_factor_of_zero_keeps_all() -> None:
    budgets = keep_counts(LENET, 0.5, scope="layer", rate_factors={"fc3": 0})
    assert budgets[2].keep == 1_000
    assert sum(budget.keep for budget in budgets) == 133_100


def test_the_present_level_removes_nothing() -> None:
    assert keep_counts({"a": (1, 4), "b": (0, 2)}, 5 / 6, scope="layer") == [
        Budget(("a",), 1),
        Budget(("b",), 0),
    ]


tensors = st.lists(
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=6
)  # fmt: skip


@given(
    sizes=tensors,
    target=st.floats(0, 1, exclude_max=True),
    scope=st.sampled_from(["global", "layer"]),
    factors=st.lists(st.sampled_from([None, 0.0, 0.3, 0.5, 1.0, 2.0]), min_size=6, max_size=6),
)
def test_totals_are_exact_or_refused_with_what_can_be_reached(
    sizes: list[tuple[int, int]], target: float, scope: Scope, factors: list[float | None]
) -> None:
    counts = {f"m{i}.weight": size for i, size in enumerate(sizes)}
    rates = {
        f"m{i}": factor for i, factor in enumerate(factors[: len(sizes)]) if factor is not None
    }
    total = sum(size for _, size in sizes)
    survivors = sum(left for left, _ in sizes)
    remove = survivors - (total - round(target * total))
    weights = {n: left * rates.get(n.partition(".")[0], 1.0) for n, (left, _) in counts.items()}
    steepest = max((weights[n] / left for n, (left, _) in counts.items() if left), default=0.0)
    reachable = min(survivors - 1, sum(weights.values()) / steepest if steepest else 0)
    if remove < 0 or (remove and remove > reachable + 1e-6):
        with pytest.raises(ValueError, match="target_sparsity"):
            keep_counts(counts, target, scope=scope, rate_factors=rates)
        return
    budgets = keep_counts(counts, target, scope=scope, rate_factors=rates)
    assert sorted(name for budget in budgets for name in budget.names) == sorted(counts)
    assert sum(budget.keep for budget in budgets) == total - round(target * total)
    for budget in budgets:
        assert 0 <= budget.keep <= sum(counts[name][0] for name in budget.names)
    if scope == "layer" and remove:
        for budget in budgets:
            (name,) = budget.names
            exact = remove * weights[name] / sum(weights.values())
            assert math.isclose(counts[name][0] - budget.keep, exact, abs_tol=1.000001)


@pytest.mark.parametrize(
    ("target", "rates", "message"),
    [
        (1.0, {}, r"target_sparsity is 1\.0"),
        (-0.1, {}, "target_sparsity is"),
        (float("nan"), {}, "target_sparsity is nan"),
        (0.3, {}, r"0\.3 is below the 0\.5 that is already pruned"),
        (0.9999, {}, r"largest reachable here is 0\.99"),
        (0.9, {"b": 0.5}, r"largest reachable here is 0\.87"),
        (0.9, {"a": 0, "b": 0}, r"largest reachable here is 0\.5"),
        (0.6, {"a": -1}, "rate factor of 'a' is -1"),
        (0.6, {"c": 0.5}, "'c' matches no"),
        (0.6, {"a": 0.5, "*": 0.25}, r"'a\.weight' has two rate factors"),
    ],
)
def test_what_cannot_be_is_refused(target: float, rates: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keep_counts({"a.weight": (25, 50), "b.weight": (25, 50)}, target, rate_factors=rates)


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="scope is 'local'"):
        keep_counts(LENET, 0.5, scope="local")  # type: ignore[arg-type]
