"""SynFlow: conservation, the schedule, and the network left as it was."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lottery_tickets import counts, prune, synflow


def mlp(*, bias: bool = False, depth: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(8, 8, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(8, 3, bias=bias))


X = [torch.randn(5, 8, generator=torch.Generator().manual_seed(0))]


def test_one_round_is_weight_times_gradient_of_the_absolute_network() -> None:
    model = mlp(bias=True)
    twin = mlp(bias=True)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.abs_()
    twin(torch.ones(1, 8)).sum().backward()
    wanted = {n: (p * p.grad).detach() for n, p in twin.named_parameters() if n.endswith("weight")}
    largest = max(score.max() for score in wanted.values())
    found = synflow(model, X, rounds=1)
    for name, score in found.items():
        torch.testing.assert_close(score, wanted[name] / largest)


def test_the_flow_is_conserved_through_layers_and_neurons() -> None:
    found = [score.double() for score in synflow(mlp(), X, rounds=1).values()]
    sums = torch.stack([score.sum() for score in found])
    torch.testing.assert_close(sums, sums[0].expand(4), rtol=1e-5, atol=0)
    for before, after in itertools.pairwise(found):
        torch.testing.assert_close(before.sum(1), after.sum(0), rtol=1e-5, atol=1e-12)


def test_the_scores_prune_in_rounds_as_the_paper_does() -> None:
    model, rounds, target = mlp(), 7, 0.9
    weights = [m.weight.detach().double() for m in model if isinstance(m, nn.Linear)]
    alive = [torch.ones_like(w) for w in weights]
    total = sum(w.numel() for w in weights)
    for k in range(1, rounds + 1):
        leaves = [(w.abs() * a).requires_grad_() for w, a in zip(weights, alive, strict=True)]
        x = torch.ones(1, 8).double()
        for leaf in leaves:
            x = x @ leaf.t()  # of what is not negative, ReLU changes nothing
        scores = [
            leaf.detach() * g
            for leaf, g in zip(leaves, torch.autograd.grad(x.sum(), leaves), strict=True)
        ]
        keep = total - round((1 - (1 - target) ** (k / rounds)) * total)
        flat = torch.cat([s.where(a > 0, -1).flatten() for s, a in zip(scores, alive, strict=True)])
        lowest = flat.sort(descending=True).values[keep - 1]
        alive = [((s >= lowest) & (a > 0)).double() for s, a in zip(scores, alive, strict=True)]
    mask = prune(
        model,
        target_sparsity=target,
        score=synflow(model, X, target_sparsity=target, rounds=rounds),
    )
    for kept, wanted in zip(mask.values(), alive, strict=True):
        assert torch.equal(kept, wanted > 0)


def test_no_layer_collapses_where_a_single_round_lets_one() -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Linear(8, 64, bias=False),
        nn.ReLU(),
        nn.Linear(64, 64, bias=False),
        nn.ReLU(),
        nn.Linear(64, 4, bias=False),
    )
    for rounds, whole in ((100, True), (1, False)):
        mask = prune(
            wide,
            target_sparsity=0.995,
            score=synflow(wide, X, target_sparsity=0.995, rounds=rounds),
        )
        assert all(kept for kept, _ in counts(mask).values()) is whole


def test_fp64_carries_a_flow_that_fp32_does_not() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(50, 50, bias=False) for _ in range(60)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    found = synflow(model, [torch.ones(1, 50)], rounds=1)
    assert all(torch.allclose(score, torch.ones(())) for score in found.values())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1e6)
    with pytest.raises(ValueError, match="the sum of the outputs is inf in fp64"):
        synflow(model, [torch.ones(1, 50)], rounds=1)


def test_tokens_stay_and_the_network_is_left_alone() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.fc = nn.Embedding(5, 4), nn.Linear(4, 4)
            self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
            x = self.norm(self.fc(self.embed(input_ids).sum(1)))
            return {"logits": self.head(x), "ids": input_ids}

    torch.manual_seed(0)
    model = Tokens().bfloat16().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.arange(3)[None]
    found = synflow(model, [{"input_ids": ids, "labels": ids}], rounds=3)
    assert [score.dtype for score in found.values()] == [torch.float32] * 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"target_sparsity": 1.0}, "target_sparsity is 1.0"), ({"rounds": 0}, "rounds is 0: use 1")],
)
def test_wrong_arguments(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        synflow(mlp(), X, **options)  # type: ignore[arg-type]


def test_activations_may_be_recomputed() -> None:
    class Recomputing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
            self.recompute = False

        def forward(self, x: Tensor) -> Tensor:
            if not self.recompute:
                return self.inner(x)
            return checkpoint(self.inner, x, use_reentrant=False)

    torch.manual_seed(0)
    model = Recomputing()
    plain = synflow(model, [torch.ones(1, 4)], rounds=2)
    model.recompute = True
    again = synflow(model, [torch.ones(1, 4)], rounds=2)
    assert all(torch.equal(plain[name], again[name]) for name in plain)
