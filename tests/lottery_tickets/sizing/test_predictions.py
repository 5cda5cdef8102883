"""What a prediction counts, of networks that are small, huge, odd, or wrong."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery_tickets import predict_peak
from lottery_tickets.sizing.ledger import Ledger


def stack(layers: int, width: int, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(width, width, bias=False, dtype=dtype) for _ in range(layers)))


def pair(width: int, samples: int = 2, device: str = "cpu") -> tuple[Tensor, Tensor]:
    return torch.zeros(samples, width, device=device), torch.zeros(samples, width, device=device)


def test_a_ledger_keeps_the_moment_of_the_most() -> None:
    book = Ledger(one_memory=False)
    book.take("weights", 10)
    with book.held("gradients", 5):
        book.touch("buffers", 3)
    with book.held("scores", 4), book.held("masks", 100, "host"):
        pass
    assert {part: n for part, n in book.peak["device"].items() if n} == {
        "weights": 10,
        "gradients": 5,
        "buffers": 3,
    }
    assert book.peak["host"]["masks"] == 100
    assert book.replay([("activations", 7), ("gradients", 2), ("activations", -7)]) == 0
    assert book.replay([("gradients", 2)], keep=["gradients"]) == 2
    assert book.now["device"] == book.now["device"] | {"weights": 10, "gradients": 2, "buffers": 0}


def test_on_a_cpu_host_and_device_are_one_memory() -> None:
    model = stack(2, 2048)
    here = predict_peak(model, "early-bird", pair(2048), device="cpu", sample_size=4096)
    there = predict_peak(model, "early-bird", pair(2048), device="cuda", sample_size=4096)
    weights = 2 * 2048**2 * 4
    assert here.host_bytes == 0
    assert there.host_parts["weights"] == weights  # the copy that is brought back
    assert there.parts["weights"] == weights
    assert here.parts["weights"] == 2 * weights
    assert predict_peak(model, "magnitude").device == "cpu"
    with torch.device("meta"):
        assert predict_peak(stack(1, 8), "magnitude").device == "cuda"


def test_a_mask_is_a_byte_a_weight_beside_the_weights() -> None:
    with torch.device("meta"):
        model = stack(10, 32_768, torch.bfloat16)  # 10.7 billion weights
    found = predict_peak(model, "magnitude")
    count = 10 * 32_768**2
    assert found.parts["weights"] == 2 * count
    assert found.parts["masks"] == count
    assert found.device_bytes - 3 * count < 10 << 20
    assert "runs no pass" in found.activations


@pytest.mark.parametrize("store", ["device", "host"])
def test_fisher_on_a_huge_network_holds_one_gradient(store: Any) -> None:
    width, layers = 16_384, 8
    with torch.device("meta"):
        model = stack(layers, width, torch.bfloat16)
        batch = pair(width)[0].bfloat16(), pair(width)[1].bfloat16()
    found = predict_peak(model, "fisher", batch, store=store)
    one, count = width**2, layers * width**2
    assert found.parts["gradients"] == 2 * one
    assert (found.parts["scores"], found.host_parts["scores"]) == (
        (4 * count, 0) if store == "device" else (0, 4 * count)
    )
    assert found.device_bytes < 2 * count + (4 * count if store == "device" else 0) + 2.1 * one


def test_a_plain_step_holds_all_gradients_and_the_optimizers_state() -> None:
    model = stack(4, 1024)
    weights = 4 * 1024**2 * 4
    plain = predict_peak(model, "imp", pair(1024), device="cuda")
    adam = predict_peak(model, "imp", pair(1024), device="cuda", optimizer="adamw")
    assert plain.parts["gradients"] == weights
    assert (plain.parts["optimizer"], adam.parts["optimizer"]) == (0, 2 * weights)
    assert plain.host_bytes == 2 * weights
    inside = predict_peak(model, "early-bird", pair(1024), device="cuda", optimizer="adamw")
    assert inside.parts["gradients"] == 1024**2 * 4


def test_activations_grow_with_the_batch_and_are_gone_when_recomputed() -> None:
    class Deep(nn.Module):
        def __init__(self, recompute: bool) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                nn.Sequential(*(nn.Linear(64, 64) for _ in range(4)), nn.GELU()) for _ in range(6)
            )
            self.recompute = recompute

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                if self.recompute:
                    x = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
                else:
                    x = layer(x)
            return x

    def activations(batch: int, recompute: bool = False) -> int:
        model = Deep(recompute)
        found = predict_peak(model, "gradient", pair(64), batch_size=batch, device="cpu")
        return found.parts["activations"]

    assert activations(4000) == pytest.approx(2 * activations(2000), rel=0.05)
    assert activations(4000, recompute=True) < 0.5 * activations(4000)


def test_activations_may_be_given_or_left_out() -> None:
    model = stack(2, 256)
    base = predict_peak(model, "gradient", device="cpu")
    given = predict_peak(model, "gradient", activations=10**9, device="cpu")
    assert "not counted" in base.activations
    assert given.activations == "given as a number"
    assert given.device_bytes - base.device_bytes == 10**9
    for method in ("fisher", "grasp", "synflow", "wanda", "sparsegpt", "imp", "landscape"):
        found = predict_peak(model, method, activations=10**9, device="cpu")  # type: ignore[arg-type]
        assert found.device_bytes >= 10**9, method
        assert found.parts["activations"] >= 10**9 - 256**2 * 8, method


def test_tensors_that_are_no_parameters_do_not_matter() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.scale = nn.Linear(8, 8), torch.ones(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) * self.scale

    assert "fake" in predict_peak(Constant(), "gradient", pair(8)).activations


class Deciding(nn.Module):
    """Looks at its values, which fake tensors do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.norm = nn.BatchNorm1d(64)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x))
        return self.second(y) if float(y.detach().sum()) > -1e9 else y


def test_where_values_decide_the_network_itself_is_run_and_left_as_found() -> None:
    model = Deciding()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    drawn = torch.get_rng_state()
    found = predict_peak(model, "imp", pair(64, samples=8), device="cpu")
    assert found.activations == "counted in a pass of the network itself"
    assert model.training
    assert all(one.grad is None for one in model.parameters())
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert torch.equal(drawn, torch.get_rng_state())
    with pytest.raises(ValueError, match=r"cannot be rehearsed without values .* give a network"):
        predict_peak(Deciding().to("meta"), "imp", pair(64))


def test_a_rehearsal_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 8))
    model[0].weight.requires_grad_(False)
    model[3].weight.grad = torch.ones(8, 8)
    tensors = list(model.parameters()) + list(model.buffers())
    before = [one.clone() for one in tensors]
    drawn = torch.get_rng_state()
    for method in ("imp", "fisher", "grasp", "landscape", "early-bird"):
        predict_peak(model, method, pair(8), device="cpu")  # type: ignore[arg-type]
    after = list(model.parameters()) + list(model.buffers())
    assert all(one is other for one, other in zip(tensors, after, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert (model[0].weight.requires_grad, model[3].weight.requires_grad) == (False, True)
    assert torch.equal(model[3].weight.grad, torch.ones(8, 8))
    assert not any(one._backward_hooks or one._post_accumulate_grad_hooks for one in after)
    assert torch.equal(drawn, torch.get_rng_state())


def test_tied_weights_count_once() -> None:
    first = nn.Linear(64, 64, bias=False)
    second = nn.Linear(64, 64, bias=False)
    apart = predict_peak(nn.Sequential(first, second), "magnitude", device="cpu")
    second.weight = first.weight
    tied = predict_peak(nn.Sequential(first, second), "magnitude", device="cpu")
    assert (apart.parts["weights"], tied.parts["weights"]) == (2 * 64**2 * 4, 64**2 * 4)


def test_it_is_said_in_a_line() -> None:
    text = str(predict_peak(stack(1, 512), "fisher", pair(512), device="cuda", store="host"))
    assert text.startswith("fisher, batch 2: ")
    assert " MB on cuda and " in text
    assert "weights 1.0 MB" in text
    assert "rehearsed on fake tensors" in text


@pytest.mark.parametrize(
    ("method", "arguments", "sentence"),
    [
        ("fischer", {}, "method is 'fischer': use magnitude, random"),
        ("fisher", {"store": "disk"}, "store is 'disk': use 'device' or 'host'"),
        ("fisher", {"offload": True}, "offload is no option of fisher: it is for robustness and"),
        ("magnitude", {"speed": 1}, "speed is no option of magnitude: there is none such; .* none"),
        ("early-bird", {"optimizer": "momentum"}, "optimizer is 'momentum': use 'sgd' or 'adamw'"),
        ("robustness", {"sparsity": 90}, r"sparsity is 90: use a fraction in \[0, 1\)"),
        ("fisher", {"chunk_size": 0}, "chunk_size is 0: use 1 or more"),
        ("fisher", {"batch_size": 0}, "batch_size is 0: use 1 or more"),
        ("fisher", {"activations": -1}, "activations is -1: give bytes, 0 or more"),
        ("fisher", {"device": "meta"}, "device is 'meta': use 'cpu' or 'cuda'"),
        ("fisher", {"device": "gpu0"}, "device is 'gpu0': use 'cpu' or 'cuda'"),
        ("hybrid", {"weights": {"magic": 1}}, "weights name the unknown methods 'magic'"),
        ("magnitude", {"exclude": ["nothing"]}, "pattern 'nothing' matches no prunable weight"),
    ],
)
def test_wrong_arguments_get_a_sentence(
    method: Any, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        predict_peak(stack(1, 8), method, **arguments)


def test_wrong_networks_and_data_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="no weight can be pruned"):
        predict_peak(nn.ReLU(), "magnitude")
    with pytest.raises(ValueError, match="both given"):
        predict_peak(stack(1, 8), "fisher", pair(8), activations=1)
    with pytest.raises(ValueError, match="nothing says what the loss is"):
        predict_peak(stack(1, 8), "fisher", torch.zeros(2, 8))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        predict_peak(stack(1, 8), "fisher", pair(9))
