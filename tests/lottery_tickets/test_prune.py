"""From a network to its next mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_tickets import apply, counts, is_subset, prunable, prune, random_like, sparsity
from lottery_tickets.levels import Scope
from lottery_tickets.prune import Score
from lottery_tickets.scores import magnitude, random


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lenet(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10), nn.ReLU(), nn.Linear(10, 3)
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    targets=st.lists(st.floats(0, 0.97), min_size=1, max_size=5).map(sorted),
    score=st.sampled_from(["magnitude", "random"]),
    scope=st.sampled_from(["global", "layer"]),
)
def test_levels_are_exact_nested_and_leave_the_weights(
    seed: int, targets: list[float], score: Score, scope: Scope
) -> None:
    model = lenet(seed)
    before = {name: p.clone() for name, p in model.named_parameters()}
    mask = None
    for target in targets:
        new = prune(
            model,
            target_sparsity=target,
            mask=mask,
            score=score,
            scope=scope,
            generator=seeded(seed),
        )
        assert list(new) == ["0.weight", "2.weight", "4.weight"]
        assert sum(kept for kept, _ in counts(new).values()) == 930 - round(target * 930)
        assert mask is None or is_subset(new, mask)
        mask = new
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_a_pruned_weight_stays_pruned_even_if_it_grows() -> None:
    model = lenet()
    mask = prune(model, target_sparsity=0.5)
    with torch.no_grad():
        for name, weight in prunable(model).items():
            weight[~mask[name]] = 100.0
    assert is_subset(prune(model, target_sparsity=0.8, mask=mask), mask)


def test_pruning_the_same_again_changes_nothing() -> None:
    model = lenet()
    mask = prune(model, target_sparsity=0.7)
    apply(model, mask)
    again = prune(model, target_sparsity=0.7, mask=mask)
    assert all(torch.equal(again[name], mask[name]) for name in mask)


def test_the_smallest_go_first_and_globally() -> None:
    weights = {"a": torch.tensor([0.1, -5.0, 0.2]), "b": torch.tensor([[-0.3], [4.0]])}
    mask = prune(weights, target_sparsity=0.6)
    assert mask["a"].tolist() == [False, True, False]
    assert mask["b"].tolist() == [[False], [True]]


def test_excluded_weights_do_not_count() -> None:
    mask = prune(lenet(), target_sparsity=0.5, exclude=["4"])
    assert list(mask) == ["0.weight", "2.weight"]
    assert sparsity(mask) == 0.5
    dense = prune(lenet(), target_sparsity=0)
    assert list(prune(lenet(), target_sparsity=0.5, mask=dense, exclude=["4"])) == list(mask)
    weights = dict(prunable(lenet()))
    assert list(prune(weights, target_sparsity=0.5, exclude=["4"])) == list(mask)


def test_rate_factors_reach_the_budgets() -> None:
    mask = prune(lenet(), target_sparsity=0.2, scope="layer", rate_factors={"4": 0.5})
    assert counts(mask)["4.weight"] == (27, 30)
    mask = prune(lenet(), target_sparsity=0.2, rate_factors={"4": 0.5})
    assert list(mask) == ["0.weight", "2.weight", "4.weight"]
    assert counts(mask)["4.weight"] == (27, 30)


def test_scores_of_ones_own() -> None:
    scores = {name: -weight.detach() for name, weight in prunable(lenet()).items()}
    mask = prune(lenet(), target_sparsity=0.5, score=scores)
    kept = torch.cat([scores[name][mask[name]] for name in mask])
    lost = torch.cat([scores[name][~mask[name]] for name in mask])
    assert kept.min() >= lost.max()


def test_random_is_the_seeds_alone() -> None:
    one, same, other = (
        prune(lenet(), target_sparsity=0.5, score="random", generator=seeded(s)) for s in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_random_like_keeps_the_counts_and_nothing_else() -> None:
    mask = prune(lenet(), target_sparsity=0.7)
    drawn = random_like(mask, seeded(3))
    assert counts(drawn) == counts(mask)
    assert not is_subset(drawn, mask)
    assert all(torch.equal(drawn[n], m) for n, m in random_like(mask, seeded(3)).items())


def test_random_like_reaches_every_weight_alike() -> None:
    mask = {"w": torch.arange(20) < 5}
    generator = seeded(0)
    hits = torch.stack([random_like(mask, generator)["w"].float() for _ in range(500)]).mean(0)
    assert ((hits - 0.25).abs() < 0.1).all()  # five standard deviations


def test_magnitude_and_random_scores() -> None:
    weights = prunable(lenet())
    assert all(torch.equal(s, weights[n].abs()) for n, s in magnitude(weights).items())
    drawn = random(weights, seeded(0))
    assert all(s.shape == weights[n].shape and (s >= 0).all() for n, s in drawn.items())


def test_bad_input_is_named() -> None:
    model = lenet()
    with pytest.raises(ValueError, match="score is 'gradient'"):
        prune(model, target_sparsity=0.5, score="gradient")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a generator"):
        prune(model, target_sparsity=0.5, score="random")
    with pytest.raises(ValueError, match="no weight can be pruned"):
        prune(nn.LayerNorm(3), target_sparsity=0.5)
    with pytest.raises(ValueError, match=r"score lacks 0\.weight, 2\.weight, 4\.weight"):
        prune(model, target_sparsity=0.5, score={})
    mask = prune(model, target_sparsity=0.5)
    with pytest.raises(ValueError, match=r"the mask prunes 4\.weight"):
        prune(model, target_sparsity=0.8, mask=mask, exclude=["4"])
    del mask["4.weight"]
    with pytest.raises(ValueError, match=r"'4\.weight' has no mask"):
        prune(model, target_sparsity=0.8, mask=mask)
    for broken, word in ((torch.nan, "NaN"), (torch.inf, "infinite"), (-torch.inf, "infinite")):
        with torch.no_grad():
            model[2].weight[1, 1] = broken
        own = {name: weight.detach() for name, weight in prunable(model).items()}
        for score, what in (("magnitude", "the weight"), (own, "the score of")):
            with pytest.raises(ValueError, match=rf"{what} '2\.weight' at flat index 31 is {word}"):
                prune(model, target_sparsity=0.5, score=score)  # type: ignore[arg-type]


def test_a_broken_weight_that_is_pruned_already_does_not_matter() -> None:
    model = lenet()
    mask = prune(model, target_sparsity=0.5)
    with torch.no_grad():
        model[2].weight[~mask["2.weight"]] = torch.inf
    assert is_subset(prune(model, target_sparsity=0.6, mask=mask, scope="lamp"), mask)


def test_scores_of_more_than_is_pruned() -> None:
    scores = {name: weight.detach().abs() for name, weight in prunable(lenet()).items()}
    mask = prune(lenet(), target_sparsity=0.5, score=scores, exclude=["4"])
    assert list(mask) == ["0.weight", "2.weight"]
    assert sparsity(mask) == 0.5
