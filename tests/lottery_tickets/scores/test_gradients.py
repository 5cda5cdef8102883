"""Scores from gradients, against autograd written out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lottery_tickets import gradient, grasp, prunable, snip, taylor
from lottery_tickets.scores.backward import blocks

Pair = tuple[Tensor, Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(36, 5)
    )


def data(sizes: tuple[int, ...] = (3, 3, 2)) -> list[Pair]:
    source = seeded()
    return [
        (torch.randn(n, 2, 3, 3, generator=source), torch.randint(0, 5, (n,), generator=source))
        for n in sizes
    ]


def whole(batches: list[Pair]) -> Pair:
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def gradients(model: nn.Module, batch: Pair) -> dict[str, Tensor]:
    weights = prunable(model)
    loss = functional.cross_entropy(model(batch[0]), batch[1])
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, score in found.items():
        assert score.dtype == torch.float32
        torch.testing.assert_close(score, wanted[name], rtol=1e-4, atol=1e-8)


def test_gradient_is_that_of_the_mean_loss_however_the_batches_are_cut() -> None:
    model = network()
    wanted = {name: g.abs() for name, g in gradients(model, whole(data())).items()}
    close(gradient(model, data()), wanted)
    close(gradient(model, [whole(data())]), wanted)


def test_snip_is_the_share_of_weight_times_gradient() -> None:
    model = network()
    raw = {n: (g * prunable(model)[n]).abs() for n, g in gradients(model, whole(data())).items()}
    total = sum(score.sum() for score in raw.values())
    found = snip(model, data())
    close(found, {name: (score / total).detach() for name, score in raw.items()})
    assert sum(float(score.sum()) for score in found.values()) == pytest.approx(1)


def test_snip_takes_the_batchs_own_statistics_and_gives_the_running_ones_back() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    batch = torch.randn(6, 3, generator=seeded()) * 9, torch.arange(6) % 2
    found = snip(model, [batch])
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.running_mean, torch.zeros(4))
    assert not any(module.training for module in model.modules())
    raw = {n: (g * prunable(model)[n]).abs() for n, g in gradients(model.train(), batch).items()}
    total = sum(score.sum() for score in raw.values())
    close(found, {name: (score / total).detach() for name, score in raw.items()})


@pytest.mark.parametrize("squared", [True, False])
def test_taylor_is_averaged_over_batches(squared: bool) -> None:
    model = network()
    wanted = {name: torch.zeros_like(weight) for name, weight in prunable(model).items()}
    for batch in data():
        for name, g in gradients(model, batch).items():
            change = (g * prunable(model)[name]).detach()
            wanted[name] += len(batch[0]) / 8 * (change**2 if squared else change.abs())
    close(taylor(model, data(), squared=squared), wanted)


@pytest.mark.parametrize("squared", [True, False])
def test_taylor_of_channels(squared: bool) -> None:
    model = network()
    batch = data((4,))
    change = {n: (g * prunable(model)[n]).detach() for n, g in gradients(model, batch[0]).items()}

    def size(tensor: Tensor) -> Tensor:
        return tensor**2 if squared else tensor.abs()

    summed = taylor(model, batch, channels="sum", squared=squared)
    close(summed, {name: size(c).flatten(1).sum(1) for name, c in change.items()})
    gates = taylor(model, batch, channels="gate", squared=squared)
    close(gates, {name: size(c.flatten(1).sum(1)) for name, c in change.items()})


def test_channels_of_a_transposed_convolution_are_those_of_its_output() -> None:
    torch.manual_seed(0)
    model = nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False)
    x = torch.randn(3, 4, 3, 3, generator=seeded())

    def loss_fn(outputs: Tensor, _: Tensor) -> Tensor:
        return outputs.pow(2).mean()

    found = taylor(model, [x], channels="gate", squared=False, loss_fn=loss_fn)["weight"]
    gate = torch.ones(6, requires_grad=True)
    (wanted,) = torch.autograd.grad(loss_fn(model(x) * gate.view(-1, 1, 1), x), gate)
    torch.testing.assert_close(found, wanted.abs(), rtol=1e-4, atol=1e-7)


def test_an_unknown_way_to_join_channels() -> None:
    with pytest.raises(ValueError, match="channels is 'max': use None, 'sum' or 'gate'"):
        taylor(network(), data(), channels="max")  # type: ignore[arg-type]


def test_grasp_is_weight_times_hessian_times_gradient() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    source = seeded()
    batches = [(torch.randn(n, 3, generator=source), torch.arange(n) % 2) for n in (3, 5)]
    weights = prunable(model)
    flat = torch.cat([weight.detach().reshape(-1) for weight in weights.values()])

    def loss(point: Tensor) -> Tensor:
        parts = iter(point.split([weight.numel() for weight in weights.values()]))
        state = {name: next(parts).view(weight.shape) for name, weight in weights.items()}
        x, y = whole(batches)
        return functional.cross_entropy(torch.func.functional_call(model, state, (x,)), y)

    hessian = torch.autograd.functional.hessian(loss, flat)
    assert isinstance(hessian, Tensor)
    wanted = flat * (hessian @ torch.func.grad(loss)(flat))
    found = torch.cat([score.reshape(-1) for score in grasp(model, batches).values()])
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-7)
    assert (found < 0).any()


def test_the_sign_of_grasp_without_the_highest_the_gradient_shrinks() -> None:
    """To first order |g|² changes by -2 w (H g): tried with a small step toward removal."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batch = torch.randn(8, 3, generator=seeded()).double(), torch.arange(8) % 2
    score = grasp(model, [batch])["0.weight"]

    def flow() -> float:
        return sum(float(g.pow(2).sum()) for g in gradients(model, batch).values())

    before = flow()
    weight = prunable(model)["0.weight"]
    for place in [divmod(int(score.argmax()), 3), divmod(int(score.argmin()), 3)]:
        kept = float(weight[place].detach())
        with torch.no_grad():
            weight[place] = kept * (1 - 1e-5)
        change = (flow() - before) / 1e-5
        with torch.no_grad():
            weight[place] = kept
        assert change == pytest.approx(-2 * float(score[place]), rel=1e-2)


def test_grasp_goes_through_attention() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            answer: Tensor = self.out(mixed.mean((1, 2)))
            return answer

    torch.manual_seed(0)
    batch = torch.randn(2, 5, 4, generator=seeded()), torch.arange(2)
    scores = grasp(Attending(), [batch])
    assert all(bool(score.any()) for score in scores.values())


def test_a_linear_loss_has_no_hessian() -> None:
    def total(out: Tensor, _: Tensor) -> Tensor:
        return out.sum()

    with pytest.warns(
        UserWarning, match="no gradient that changes with the weights reached weight"
    ):
        assert not grasp(nn.Linear(3, 2), [torch.ones(2, 3)], loss_fn=total)["weight"].any()


@pytest.mark.parametrize("score", [gradient, snip, grasp, taylor])
def test_so_many_samples_and_no_more(score: Callable[..., dict[str, Tensor]]) -> None:
    model = network()
    x, y = whole(data())
    close(
        score(model, data(), 4, training=False),
        score(model, [(x[:3], y[:3]), (x[3:4], y[3:4])], training=False),
    )
    with pytest.raises(ValueError, match="holds 8 samples, fewer than num_samples 9"):
        score(model, data(), 9)


def test_blocks_meet_each_other_whatever_the_strides() -> None:
    first = torch.arange(60.0).view(3, 4, 5)
    second = first.clone().transpose(0, 2).contiguous().transpose(0, 2)
    for size in (1, 3, 7, 20, 60):
        parts = list(blocks(first, second, first, size))
        assert all(torch.equal(a, b) and a.numel() <= size for a, b, _ in parts)
        assert torch.cat([a.reshape(-1) for a, _, _ in parts]).tolist() == list(range(60))
