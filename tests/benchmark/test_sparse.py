from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from ticketsmith.benchmark.sparse import load_sparse, save_sparse
from ticketsmith.experiment.problems import BadSpec


def same_bits(first: Tensor, second: Tensor) -> bool:
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and torch.equal(
            first.contiguous().reshape(-1).view(torch.uint8),
            second.contiguous().reshape(-1).view(torch.uint8),
        )
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    sparsity=st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_what_comes_back_is_bit_for_bit_what_went_in(
    tmp_path: Path, shape: list[int], sparsity: float, dtype: torch.dtype, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=generator)
    weight[torch.rand(shape, generator=generator) < sparsity] = 0.0
    tensors = {"fc.weight": weight.to(dtype), "fc.bias": torch.zeros(3), "steps": torch.tensor(7)}
    file = tmp_path / "sparse.safetensors"
    save_sparse(tensors, {"fc.weight"}, file)
    back = load_sparse(file)
    assert back.keys() == tensors.keys()
    assert all(same_bits(back[name], tensors[name]) for name in tensors)


def test_odd_values_survive(tmp_path: Path) -> None:
    odd = torch.tensor([0.0, -0.0, float("nan"), float("inf"), 1e-45, -1e-45, 1.0])
    save_sparse({"w": odd}, ["w"], tmp_path / "s")
    assert same_bits(load_sparse(tmp_path / "s")["w"], odd)


def test_a_transposed_tensor_is_stored_in_its_own_order(tmp_path: Path) -> None:
    weight = torch.arange(12.0).reshape(3, 4).T
    save_sparse({"w": weight}, ["w"], tmp_path / "s")
    assert torch.equal(load_sparse(tmp_path / "s")["w"], weight)


def test_a_sparse_file_is_smaller_by_the_zeros_it_leaves_out(tmp_path: Path) -> None:
    weight = torch.randn(300, 784)
    weight[torch.rand(300, 784) < 0.9] = 0.0
    save_sparse({"w": weight}, ["w"], tmp_path / "sparse")
    save_file({"w": weight}, tmp_path / "dense")
    expected = weight.numel() / 8 + 4 * int((weight != 0).sum())
    assert (tmp_path / "sparse").stat().st_size == pytest.approx(expected, abs=600)
    assert (tmp_path / "dense").stat().st_size > 5 * (tmp_path / "sparse").stat().st_size


def test_a_plain_file_is_refused(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "plain")
    with pytest.raises(BadSpec, match=r"plain has format None.*read it as plain safetensors"):
        load_sparse(tmp_path / "plain")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"\x08")
    with pytest.raises(BadSpec, match="torn cannot be read"):
        load_sparse(tmp_path / "torn")


def test_bits_that_do_not_match_the_values_are_refused(tmp_path: Path) -> None:
    save_sparse({"w": torch.tensor([1.0, 0.0, 2.0])}, ["w"], tmp_path / "s")
    raw = (tmp_path / "s").read_bytes()
    bits = bytes([0b10100000])
    assert raw.count(bits) == 1
    (tmp_path / "s").write_bytes(raw.replace(bits, bytes([0b11100000])))
    with pytest.raises(BadSpec, match="w has 3 bits set and 2 values"):
        load_sparse(tmp_path / "s")
