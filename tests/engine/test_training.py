"""The training loop: the mask holds, clipping and selection do what they say, broken numbers are named."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lottery_tickets
from ticketsmith.engine import data, guard
from ticketsmith.engine.attempt import Attempt
from ticketsmith.engine.data import Data
from ticketsmith.engine.evaluation import evaluate
from ticketsmith.engine.tensors import digest, snapshot
from ticketsmith.engine.training import train
from ticketsmith.experiment.problems import BrokenNumbers
from ticketsmith.experiment.spec import DatasetSpec, TrainingSpec


@pytest.fixture(scope="module")
def digits() -> Data:
    return data.load(DatasetSpec(name="digits"), torch.device("cpu"))


def network(width: int = 32) -> nn.Sequential:
    torch.manual_seed(3)
    layers = (
        nn.Flatten(),
        nn.Linear(64, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, 10),
    )
    return nn.Sequential(*layers)


def training(duration: str = "60it", **changes: Any) -> TrainingSpec:
    optimizer = {"name": "adam", "lr": 0.002}
    return TrainingSpec.model_validate(
        {"duration": duration, "batchSize": 32, "optimizer": optimizer} | changes
    )


def half(model: nn.Module) -> dict[str, Tensor]:
    return lottery_tickets.prune(model, target_sparsity=0.5, score="magnitude")


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weightDecay": 0.001},
        {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        {"name": "adam", "lr": 0.002, "weightDecay": 0.01},
        {"name": "adamw", "lr": 0.002, "weightDecay": 0.1},
    ],
    ids=["sgd", "nesterov", "adam", "adamw"],
)
def test_pruned_weights_are_exactly_zero_after_1000_steps(
    digits: Data, optimizer: dict[str, Any]
) -> None:
    model = network()
    mask = half(model)
    before = snapshot(model)
    train(model, digits, training("1000it", optimizer=optimizer), seed=0, mask=mask)
    weights = dict(model.named_parameters())
    for name, kept in mask.items():
        assert torch.count_nonzero(weights[name][~kept]) == 0
        assert not torch.equal(weights[name][kept], before[name][kept])


def test_momentum_gathered_before_pruning_moves_nothing_afterwards(digits: Data) -> None:
    """The worst case: the optimizer is handed gradients for pruned weights all along."""
    model = network()
    mask = half(model)
    seen: list[int] = []

    def count(module: nn.Module, inputs: Any) -> None:
        del module, inputs
        weights = dict(model.named_parameters())
        seen.append(sum(int(torch.count_nonzero(weights[n][~k])) for n, k in mask.items()))

    model.register_forward_pre_hook(count)
    spec = training("50it", optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.99})
    train(model, digits, spec, seed=0, mask=mask)
    assert len(seen) >= 50
    assert set(seen) == {0}


def test_the_same_inputs_give_the_same_bits_and_another_seed_does_not(digits: Data) -> None:
    def after(seed: int) -> str:
        model = network()
        train(model, digits, training(), seed=seed, mask={})
        return digest(model.state_dict())

    assert after(1) == after(1) != after(2)


def test_training_from_step_k_goes_on_with_that_steps_batches_and_rate(digits: Data) -> None:
    """Plain SGD has no memory, so stopping at step 20 and beginning there again must change nothing."""
    shape = {"name": "cosine", "warmup": "10it"}
    optimizer = {"name": "sgd", "lr": 0.05}
    whole = network()
    spec = training("60it", optimizer=optimizer, lrSchedule=shape)
    kept: list[dict[str, Tensor]] = []

    class Keeper(Attempt):
        rewind_step = 20

        def keep(self, model: nn.Module) -> str:
            kept.append(snapshot(model))
            return ""

    train(whole, digits, spec, seed=0, mask={}, attempt=Keeper())
    part = network()
    part.load_state_dict(kept[0])
    state = train(part, digits, spec, seed=0, mask={}, begin=20)
    assert digest(part.state_dict()) == digest(whole.state_dict())
    assert (state.history[0].iteration, state.history[-1].iteration) == (20, 60)


def test_pruned_weights_have_no_say_in_clipping(digits: Data) -> None:
    """With a network that is all but pruned away, the survivors' update is what their own gradients ask for."""
    spec = training("1it", optimizer={"name": "sgd", "lr": 1.0}, gradientClip=1e-3)
    model = network()
    mask = lottery_tickets.prune(model, target_sparsity=0.9, score="magnitude")
    lottery_tickets.apply(model, mask)
    before = snapshot(model)
    train(model, digits, spec, seed=0, mask=mask)
    moved = [p - before[n] for n, p in model.named_parameters()]
    norm = torch.cat([m.detach().flatten() for m in moved]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_best_validation_keeps_the_weights_of_the_lowest_loss(digits: Data) -> None:
    model = network()
    spec = training(
        "400it",
        optimizer={"name": "sgd", "lr": 1.5, "momentum": 0.9},
        evaluateEvery="20it",
        select="bestValidation",
    )
    state = train(model, digits, spec, seed=0, mask={})
    assert [line.iteration for line in state.history] == list(range(0, 401, 20))
    assert state.lowest.val_loss == min(line.val_loss for line in state.history)
    assert state.lowest.iteration < 400
    assert state.best is not None
    again = network()
    again.load_state_dict(state.best)
    assert evaluate(again, digits.validation, digits, "fp32").loss == state.lowest.val_loss


def test_bf16_autocast_leaves_fp32_weights_that_learn(digits: Data) -> None:
    model = network()
    state = train(model, digits, training("200it", precision="bf16"), seed=0, mask=half(model))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert state.history[-1].val_accuracy > 0.8


def test_a_training_that_diverges_names_the_step_and_the_tensor(digits: Data) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    spec = training(
        "5000it", optimizer={"name": "sgd", "lr": 100.0, "momentum": 0.99, "weightDecay": 10}
    )
    with pytest.raises(BrokenNumbers, match=r"step \d+; the first tensor .* is .*[13]"):
        train(model, digits, spec, seed=0, mask={})


@pytest.mark.parametrize("window", [1, 64], ids=["cpu", "cuda"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["1.weight", "4.bias"])
def test_a_number_that_breaks_at_a_step_is_blamed_on_that_step_and_tensor(
    digits: Data, name: str, value: float, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU losses are looked at 64 at a time; the step is exact all the same, while by then the broken
    number has spread, so only on the CPU is the tensor the one it came from."""
    monkeypatch.setitem(guard.WINDOW, "cpu", window)
    model = network()
    passes = 0

    def inject(module: nn.Module, inputs: Any) -> None:
        nonlocal passes
        if module.training:
            if passes == 17:
                dict(model.named_parameters())[name].data.view(-1)[5] = value
            passes += 1

    model.register_forward_pre_hook(inject)
    blamed = name if window == 1 else r"\d\.weight"
    with pytest.raises(BrokenNumbers, match=rf"at step 17; .* is {blamed}:"):
        train(model, digits, training(), seed=0, mask={})


def test_an_overflow_between_finite_weights_is_blamed_on_the_module(digits: Data) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 10))
    with torch.no_grad():
        model[1].weight.fill_(3e38)
    spec = training("5it", evaluateEvery="5it")
    with pytest.raises(BrokenNumbers, match=r"not finite is the output of 1|validation loss"):
        train(model, digits, spec, seed=0, mask={})


def test_a_loss_window_names_the_exact_step() -> None:
    window = guard.LossWindow(torch.device("cpu"))
    assert window.add(41, torch.tensor(0.5))
    assert window.read() == {41: 0.5}
    assert window.read() == {}
    with pytest.raises(BrokenNumbers, match="nan at step 8"):
        guard.check_losses({7: 1.0, 8: float("nan")}, network(), torch.zeros(2, 1, 8, 8))
