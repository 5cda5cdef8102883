"""Layers beside linear ones and convolutions: recurrent, attention with packed weights, GPT-2's Conv1D."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import lottery_tickets as lt
from lottery_tickets.patterns import Axis, as_found, outputs_first
from lottery_tickets.scores.methods import NEEDS_DATA

WIDTH = 8


class Conv1D(nn.Module):
    """As transformers' layer of this name answers: a linear layer whose weight is (in, out)."""

    __module__ = "transformers.pytorch_utils"

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.nf, self.nx = outputs, inputs
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], self.nf)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(6, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.cross = nn.MultiheadAttention(WIDTH, 2, kdim=4, vdim=4, batch_first=True)
        self.narrow = nn.Linear(WIDTH, 4)
        self.memory = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.cell = nn.GRUCell(WIDTH, WIDTH)
        self.mlp = Conv1D(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 6, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.embed(input_ids)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        low = self.narrow(x)
        x = x + self.cross(x, low, low, need_weights=False)[0]
        x = self.memory(x)[0]
        x = x + self.cell(x[:, 0], x[:, 1]).unsqueeze(1)
        logits = self.head(self.mlp(x))
        if labels is None:
            return {"logits": logits}
        return {"loss": functional.cross_entropy(logits.flatten(0, 1), labels.flatten())}


NAMES = [
    *("attention.in_proj_weight", "attention.out_proj.weight"),
    *("cross.q_proj_weight", "cross.k_proj_weight", "cross.v_proj_weight", "cross.out_proj.weight"),
    *("narrow.weight", "memory.weight_ih_l0", "memory.weight_hh_l0"),
    *("cell.weight_ih", "cell.weight_hh", "mlp.weight"),
]


def tokens() -> list[dict[str, Tensor]]:
    ids = torch.randint(0, 6, (12, 5), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": part, "labels": part} for part in ids.split(5)]


def test_what_inputs_are_multiplied_with_is_prunable() -> None:
    assert list(lt.prunable(Mixed())) == NAMES
    assert list(lt.prunable(nn.Bilinear(2, 3, 4))) == ["weight"]
    assert list(lt.prunable(Mixed(), ["memory", "cross", "attention"])) == NAMES[6:7] + NAMES[9:]


def test_weights_that_are_computed_are_not_prunable() -> None:
    normed = nn.utils.parametrizations.weight_norm(nn.LSTM(2, 3), "weight_hh_l0")
    assert list(lt.prunable(normed)) == ["weight_ih_l0"]


@pytest.mark.parametrize("method", sorted({*NEEDS_DATA, "magnitude", "hybrid"} - {"wanda"}))
def test_every_score_knows_them(method: Any) -> None:
    model = Mixed()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    scores = lt.importance(model, method, tokens())
    assert list(scores) == NAMES
    for name, score in scores.items():
        assert score.shape == before[name].shape
        assert score.isfinite().all()
        assert score.count_nonzero(), name
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    model(**tokens()[0])["loss"].backward()  # recurrent layers compute with their own weights again
    assert all(weight.grad is not None for weight in lt.prunable(model).values())


def test_fisher_is_that_of_a_plain_loop() -> None:
    model = Mixed()
    samples = [
        {name: part[i : i + 1] for name, part in batch.items()}
        for batch in tokens()
        for i in range(len(batch["labels"]))
    ]
    expected = dict.fromkeys(NAMES, 0.0)
    for sample in samples:
        gradients = torch.autograd.grad(model(**sample)["loss"], list(lt.prunable(model).values()))
        for name, gradient in zip(NAMES, gradients, strict=True):
            expected[name] = expected[name] + gradient.square() / len(samples)
    found = lt.compute_fisher_importance(model, tokens(), num_samples=None)
    for name, score in found.items():
        torch.testing.assert_close(score, expected[name], rtol=1e-4, atol=1e-9)


def test_a_ticket_is_trained_with_them() -> None:
    def train(model: nn.Module, mask: lt.PruningMask) -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        with mask.enforced(optimizer, model):
            for batch in tokens():
                optimizer.zero_grad()
                model(**batch)["loss"].backward()
                optimizer.step()

    model = Mixed()
    found = lt.compute_iterative_magnitude_pruning(
        model, None, train, target_sparsity=0.75, pruning_rounds=2, progress=False
    )
    mask = found["mask"]
    total = sum(kept.numel() for kept in mask.values())
    assert sum(int(kept.sum()) for kept in mask.values()) == total - round(0.75 * total)
    assert list(mask) == NAMES


def both() -> tuple[nn.Module, nn.Module, list[Tensor]]:
    """The same network, once with `Conv1D` and once with linear layers."""
    torch.manual_seed(0)
    theirs = nn.Sequential(Conv1D(12, WIDTH), nn.ReLU(), Conv1D(4, 12))
    plain = nn.Sequential(nn.Linear(WIDTH, 12), nn.ReLU(), nn.Linear(12, 4))
    with torch.no_grad():
        for mine, other in zip(plain.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other.t())
    return theirs, plain, list(torch.randn(40, WIDTH).split(16))


def assert_transposed(found: Any, expected: Any) -> None:
    assert list(found) == list(expected)
    for name, tensor in found.items():
        assert tensor.is_contiguous()
        torch.testing.assert_close(tensor, expected[name].t().contiguous())


def test_conv1d_is_scored_and_pruned_as_the_linear_layer_that_it_is() -> None:
    theirs, plain, data = both()
    scores, expected = lt.wanda(theirs, data), lt.wanda(plain, data)
    assert_transposed(scores, expected)
    for among in (0.25, 0.5):
        assert_transposed(
            lt.select_per_output(scores, among, model=theirs), lt.select_per_output(expected, among)
        )
    survivors = lt.select_per_output(expected, 0.25)
    assert_transposed(
        lt.select_per_output(
            scores,
            0.5,
            among={name: kept.t() for name, kept in survivors.items()},
            model=theirs,
        ),
        lt.select_per_output(expected, 0.5, among=survivors),
    )
    for options in ({"sparsity": 0.5}, {"pattern": "2:4"}, {"sparsity": 0.5, "per_output": True}):
        found, wanted = (lt.sparsegpt(model, data, **options) for model in (theirs, plain))  # type: ignore[arg-type]
        assert_transposed(found.mask, wanted.mask)
        assert_transposed(found.weights, wanted.weights)
    assert_transposed(
        lt.prune(theirs, target_sparsity=0.5, pattern="2:4"),
        lt.prune(plain, target_sparsity=0.5, pattern="2:4"),
    )
    labelled = [(part, part[:, :4].argmax(1)) for part in data]
    for channels in ("sum", "gate"):
        by_output = lt.taylor(theirs, labelled, channels=channels)
        for name, score in lt.taylor(plain, labelled, channels=channels).items():
            torch.testing.assert_close(by_output[name], score)


def test_conv1d_moves_filter_by_filter_through_the_landscape() -> None:
    theirs, plain, data = both()
    labelled = [(part, part[:, :4].argmax(1)) for part in data]
    mask = lt.create_magnitude_mask(plain, 0.3)
    for model, kept in ((theirs, {n: k.t() for n, k in mask.items()}), (plain, mask)):
        found = lt.compute_loss_landscape(model, labelled, grid_points=3, mask=kept)
        if model is theirs:
            first = found["loss"]
    torch.testing.assert_close(first, found["loss"])


def test_channels_of_conv1d_are_cut_out() -> None:
    theirs, plain, data = both()
    found, expected = (
        lt.prune_channels(model, data[0], target_sparsity=0.5, of="channels")
        for model in (theirs, plain)
    )
    assert_transposed(found.mask, expected.mask)
    smaller = lt.compact(theirs, found.mask, data[0])
    assert [tuple(weight.shape) for weight in smaller.parameters()] == [(8, 6), (6,), (6, 4), (4,)]
    assert (smaller[0].nf, smaller[2].nx) == (6, 6)  # type: ignore[index]
    lt.apply(theirs, found.mask)
    torch.testing.assert_close(smaller(data[1]), theirs(data[1]))


def test_the_planner_sizes_conv1d_as_the_linear_layer_that_it_is() -> None:
    theirs, plain, data = both()
    for method in ("wanda", "sparsegpt"):
        found, expected = (lt.predict_peak(model, method, data[0]) for model in (theirs, plain))
        assert found.device_bytes == expected.device_bytes


def test_scores_of_inputs_refuse_layers_whose_inputs_they_cannot_see() -> None:
    with pytest.raises(ValueError, match=r"wanda knows .*'memory.weight_ih_l0' \(LSTM\).*exclude"):
        lt.wanda(Mixed(), tokens())


@settings(max_examples=30, deadline=None)
@given(
    groups=st.integers(1, 3),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel=st.lists(st.integers(1, 2), max_size=2),
    dim=st.sampled_from([0, 1]),
)
def test_outputs_first_is_undone(
    groups: int, inputs: int, outputs: int, kernel: list[int], dim: int
) -> None:
    shape = (groups * inputs, outputs, *kernel)
    weight = torch.arange(torch.Size(shape).numel()).view(shape)
    axis = Axis(dim, groups)
    rows = outputs_first(weight, axis)
    if dim == 0:
        assert len(rows) == groups * outputs
    assert torch.equal(as_found(rows, axis, shape), weight)
