"""Wanda: the formula, convolutions by patches, and the choice within each output."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets import select_per_output, sparsity, wanda
from lottery_tickets.scores.inputs import rows


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_linear_layer() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).bfloat16()
    batches = [torch.randn(n, 5, 4, generator=seeded()).bfloat16() for n in (2, 1)]
    found = wanda(model, batches)
    tokens = torch.cat([batch.flatten(0, 1) for batch in batches])
    for name, layer, x in (
        ("0.weight", model[0], tokens),
        ("2.weight", model[2], model[:2](tokens)),
    ):
        assert isinstance(layer, nn.Linear)
        wanted = layer.weight.detach().abs().float() * x.detach().float().norm(dim=0)
        torch.testing.assert_close(found[name], wanted, rtol=1e-2, atol=0)
        assert found[name].dtype == torch.float32


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.sampled_from([0, 1, "valid", "same"]),
    mode=st.sampled_from(["zeros", "reflect", "circular"]),
    groups=st.sampled_from([1, 2, 4]),
)
def test_a_convolution_is_its_weights_times_these_rows(
    seed: int,
    kernel: tuple[int, int],
    stride: int,
    dilation: int,
    padding: int | str,
    mode: str,
    groups: int,
) -> None:
    torch.manual_seed(seed)
    stride = 1 if padding == "same" else stride
    layer = nn.Conv2d(
        4,
        8,
        kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        padding_mode=mode,
        groups=groups,
        bias=False,
    )
    x = torch.randn(3, 4, 7, 8, generator=seeded(seed))
    patches = torch.cat(list(rows(layer, x)), dim=1)
    answers = patches @ layer.weight.view(groups, 8 // groups, -1).transpose(1, 2)
    wanted = layer(x).movedim(1, 3).reshape(-1, groups, 8 // groups).movedim(0, 1)
    torch.testing.assert_close(answers, wanted, rtol=1e-4, atol=1e-5)


def test_parts_of_a_batch_and_one_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(2, 3, 3, padding=1)
    x = torch.randn(4, 2, 6, generator=seeded())
    (whole,) = rows(layer, x)
    monkeypatch.setattr("lottery_tickets.scores.inputs.ROOM", 1)
    parts = list(rows(layer, x))
    assert len(parts) == 4
    assert torch.equal(torch.cat(parts, 1), whole)
    assert torch.equal(next(rows(layer, x[0])), whole[:, :6])
    padded = functional.pad(x, (1, 1))
    norms = torch.stack([padded[..., k : k + 6].pow(2).sum((0, 2)) for k in range(3)], 1).sqrt()
    torch.testing.assert_close(wanda(layer, [x])["weight"], layer.weight.detach().abs() * norms)


def test_a_layer_used_twice_sees_both_inputs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(3, 3, bias=False)
            self.other = nn.Linear(3, 3, bias=False)
            self.other.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.other(input=self.one(x))
            return answer

    torch.manual_seed(0)
    model, x = Twice(), torch.randn(5, 3, generator=seeded())
    both = torch.cat([x, model.one(x).detach()])
    found = wanda(model, [x])
    assert list(found) == ["one.weight"]
    torch.testing.assert_close(
        found["one.weight"], model.one.weight.detach().abs() * both.norm(dim=0)
    )


def test_layers_that_cannot_be_scored_are_named() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.fc = nn.MultiheadAttention(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.fc(self.attention(x, x, x)[0])
            return answer

    x = [torch.ones(2, 3, 4)]
    with pytest.raises(ValueError, match=r"not 'attention\.in_proj_weight' \(MultiheadAttention\)"):
        wanda(Idle(), x)
    with pytest.raises(
        ValueError, match=r"no input reached 'attention\.out_proj\.weight'.*exclude"
    ):
        wanda(Idle(), x, exclude=["*.in_proj_weight"])
    assert list(wanda(Idle(), x, exclude=["attention"])) == ["fc.weight"]
    with pytest.raises(ValueError, match=r"not 'weight' \(ConvTranspose2d\): exclude them"):
        wanda(nn.ConvTranspose2d(1, 1, 2), [torch.ones(1, 1, 3, 3)])
    with pytest.raises(ValueError, match=r"inputs of 'weight' is inf at index \(0, 1\)"):
        wanda(nn.Linear(2, 1), [torch.tensor([[1.0, torch.inf]])])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    part=st.floats(0, 0.99),
    levels=st.integers(1, 9),
    chunk=st.sampled_from([1, 1 << 22]),
)
def test_each_output_loses_as_many_and_its_lowest(
    seed: int, part: float, levels: int, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lottery_tickets.scores.per_output._ROWS", chunk)
        score = torch.randint(0, levels, (5, 3, 4), generator=seeded(seed)).float()
        mask = select_per_output({"w": score}, part)["w"]
    keep = 12 - round(part * 12)
    for row, kept in zip(score.flatten(1), mask.flatten(1), strict=True):
        order = sorted(range(12), key=lambda i: (-float(row[i]), i))
        assert set(kept.nonzero().flatten().tolist()) == set(order[:keep])


def test_what_is_pruned_stays_pruned() -> None:
    score = torch.randn(6, 10, generator=seeded())
    score[0, 0] = -torch.inf
    first = select_per_output({"w": score}, 0.5)
    second = select_per_output({"w": -score}, 0.8, among=first)
    assert not (second["w"] & ~first["w"]).any()
    assert sparsity(second) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="output 0 of 'w' has 2 survivors, fewer than the 5"):
        select_per_output({"w": score}, 0.5, among=second)


@pytest.mark.parametrize(
    ("scores", "part", "sentence"),
    [
        (torch.ones(2, 2), 1.0, "sparsity is 1.0"),
        (torch.ones(4), 0.5, r"scores of 'w' are \(4,\): give"),
        (torch.tensor([[0.0, torch.nan]]), 0.5, r"score of 'w' is nan at index \(0, 1\)"),
    ],
)
def test_wrong_arguments(scores: Tensor, part: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        select_per_output({"w": scores}, part)
