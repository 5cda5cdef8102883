"""Controls differ from the ticket in what they should, and in nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets import (
    PruningMask,
    apply,
    compute_sanity_controls,
    counts,
    reinitialize,
    shuffle_in_layer,
    sparsity,
)

Frozen = Callable[[], bool]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shuffling_keeps_each_layers_count_and_reaches_every_place() -> None:
    mask = {
        "a": torch.tensor([[True, True, False], [False, False, False]]),
        "b": torch.ones(2).bool(),
    }
    generator = seeded()
    drawn = [shuffle_in_layer(mask, generator) for _ in range(600)]
    assert all(counts(one) == counts(mask) for one in drawn)
    shares = torch.stack([one["a"].double() for one in drawn]).mean(0)
    # Each place is kept in 2 of 6 draws; 0.1 is five standard deviations.
    assert ((shares - 1 / 3).abs() < 0.1).all()


def test_weights_are_drawn_anew_by_their_modules_own_law(model: nn.Sequential) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch_state = torch.get_rng_state()
    reinitialize(model, seeded(1))
    assert torch.equal(torch.get_rng_state(), torch_state)
    weight = model[4].weight
    assert not torch.equal(weight, before["4.weight"])
    assert weight.abs().max() <= 1 / 8  # uniform within 1 / sqrt(64 inputs)
    assert float(weight.detach().std()) == pytest.approx(1 / 8 / 3**0.5, rel=0.1)
    assert model[1].weight.tolist() == [1.0] * 4
    first = weight.clone()
    reinitialize(model, seeded(1))
    assert torch.equal(model[4].weight, first)
    reinitialize(model, seeded(2))
    assert not torch.equal(model[4].weight, first)


def test_attention_keeps_the_law_of_its_constructor() -> None:
    model = nn.MultiheadAttention(4, 2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(9)
    reinitialize(model, seeded())
    assert model.out_proj.bias.tolist() == [0.0] * 4
    assert not (model.in_proj_weight == 9).any()


class Own(nn.Module):
    def __init__(self, gain: float = 0.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((3,), gain) + torch.rand(3))
        self.layer = nn.Linear(3, 2)


def test_a_law_that_is_not_known_needs_a_factory() -> None:
    model = Own()
    with pytest.raises(ValueError, match=r"the network itself \(Own\); give factory"):
        reinitialize(model, seeded())
    scale = model.scale
    reinitialize(model, seeded(), factory=lambda: Own(5.0))
    assert model.scale is scale
    assert (scale >= 5).all()
    with pytest.raises(ValueError, match=r"the factory builds another network, which differs in"):
        reinitialize(model, seeded(), factory=lambda: nn.Linear(2, 2))


def test_every_control_starts_as_it_should(
    model: nn.Sequential, mask: dict[str, Tensor], frozen: Frozen
) -> None:
    start = model[4].weight.clone()
    seen: list[tuple[Tensor, PruningMask, float]] = []

    def train(given: nn.Module, ticket: PruningMask) -> None:
        assert given.training
        assert not (given[4].weight[~ticket["4.weight"]] != 0).any()  # type: ignore[index]
        assert isinstance(ticket, PruningMask)
        seen.append((given[4].weight.clone(), ticket, float(torch.rand(()))))  # type: ignore[index]
        with torch.no_grad():
            given[4].weight.add_(len(seen))  # type: ignore[index]
        if len(seen) != 3:
            apply(given, ticket)

    found = compute_sanity_controls(
        model, mask, train, lambda _: float(len(seen)), generator=seeded()
    )
    assert frozen()
    (ticket, mine, luck), (reinit, same, _), (shuffled, moved, _), (random, anywhere, _) = seen
    assert all(torch.equal(one[name], mask[name]) for one in (mine, same) for name in mask)
    assert counts(moved) == counts(mask) != counts(anywhere)
    assert sparsity(anywhere) == sparsity(mask)
    assert not torch.equal(moved["4.weight"], mask["4.weight"])
    for weight, one in ((ticket, mine), (shuffled, moved), (random, anywhere)):
        assert torch.equal(weight, start * one["4.weight"])
    assert not torch.equal(reinit, ticket)
    assert {one[2] for one in seen} == {luck}, "each is trained with the same random numbers"
    assert found["performance"] == {"ticket": 1, "reinit": 2, "shuffled": 3, "random": 4}
    assert found["gap"] == {"reinit": -1, "shuffled": -2, "random": -3}
    assert len(set(found["kept"].values())) == 1
    assert found["revived"] == {
        "ticket": 0,
        "reinit": 0,
        "shuffled": int((~moved["4.weight"]).sum()),
        "random": 0,
    }


def test_controls_start_from_rewound_weights_if_they_are_given(
    model: nn.Sequential, mask: dict[str, Tensor], frozen: Frozen
) -> None:
    start = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    seen: list[Tensor] = []

    def train(given: nn.Module, _: Any) -> None:
        seen.append(given[4].weight.detach().clone())  # type: ignore[index]

    def run(state: dict[str, Tensor]) -> None:
        compute_sanity_controls(
            model,
            mask,
            train,
            lambda _: 0.0,
            generator=seeded(),
            rewind_weights=state,
            controls=["ticket", "reinit"],
        )

    run(start)
    assert torch.equal(seen[0], start["4.weight"] * mask["4.weight"])
    assert seen[1].abs().max() <= 1 / 8, "the constructor's law does not look at them"
    assert frozen()
    del start["4.weight"]
    with pytest.raises(ValueError, match=r"rewind_weights does not fit.*'4.weight' is missing"):
        run(start)


def test_after_an_exception_all_is_as_it_was(
    model: nn.Sequential, mask: dict[str, Tensor], frozen: Frozen
) -> None:
    def train(given: nn.Module, _: Any) -> None:
        with torch.no_grad():
            given[0].weight.zero_()  # type: ignore[index]
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        compute_sanity_controls(model, mask, train, lambda _: 0.0, generator=seeded())
    assert frozen()


def test_wrong_input_is_told_before_training(model: nn.Sequential, mask: dict[str, Tensor]) -> None:
    def train(*_: Any) -> None:
        pytest.fail("it trained")

    with pytest.raises(ValueError, match=r"controls are \['dense'\]: use some of"):
        compute_sanity_controls(
            model,
            mask,
            train,
            len,
            generator=seeded(),
            controls=["dense"],  # type: ignore[list-item, arg-type]
        )
    with pytest.raises(ValueError, match="the mask does not fit"):
        compute_sanity_controls(model, {"x": mask["0.weight"]}, train, len, generator=seeded())  # type: ignore[arg-type]
    own = Own()
    with pytest.raises(ValueError, match="give factory"):
        compute_sanity_controls(
            own,
            {"layer.weight": torch.ones(2, 3).bool()},
            train,
            len,
            generator=seeded(),  # type: ignore[arg-type]
        )
