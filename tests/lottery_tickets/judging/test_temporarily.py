"""Weights pruned for a while come back bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lottery_tickets import PruningMask, compute_ticket_overlap
from lottery_tickets.judging import temporarily
from lottery_tickets.judging.temporarily import blocks, pruned

Frozen = Callable[[], bool]


def test_inside_pruned_weights_are_zero_and_afterwards_all_is_as_it_was(
    model: nn.Sequential, mask: dict[str, Tensor], frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporarily, "PIECE", 7)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    for offload in (False, True):
        with pruned(model, mask, offload=offload):
            for name, weight in model.named_parameters():
                wanted = before[name] * mask[name] if name in mask else before[name]
                assert torch.equal(weight, wanted)
        assert frozen()


def test_after_an_exception_too(
    model: nn.Sequential, mask: dict[str, Tensor], frozen: Frozen
) -> None:
    with pytest.raises(KeyboardInterrupt), pruned(model, PruningMask.of(mask)):
        raise KeyboardInterrupt
    assert frozen()


def test_values_that_are_no_numbers_keep_their_bits() -> None:
    model = nn.Linear(4, 1, bias=False)
    odd = torch.tensor([[float("nan"), float("-inf"), -0.0, 1e-45]])
    odd.view(torch.int32)[0, 0] += 5  # a NaN of its own
    with torch.no_grad():
        model.weight.copy_(odd)
    with pruned(model, {"weight": torch.zeros(1, 4, dtype=torch.bool)}):
        assert model.weight.view(torch.int32).tolist() == [[0, 0, 0, 0]]
    assert torch.equal(model.weight.view(torch.int32), odd.view(torch.int32))


def test_a_tied_weight_masked_under_both_names() -> None:
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    model[1].weight = model[0].weight
    before = model[0].weight.clone()
    one, other = torch.rand(5, 5) < 0.5, torch.rand(5, 5) < 0.5
    with pruned(model, {"0.weight": one, "1.weight": other}):
        assert torch.equal(model[0].weight, before * (one & other))
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_any_strides_and_dtype(dtype: torch.dtype) -> None:
    model = nn.Conv2d(6, 8, 3).to(dtype).to(memory_format=torch.channels_last)
    assert not model.weight.is_contiguous()
    before = model.weight.clone()
    mask = {"weight": torch.rand(8, 6, 3, 3) < 0.4}
    with pruned(model, mask):
        assert torch.equal(model.weight, before * mask["weight"])
    assert torch.equal(model.weight, before)


def test_a_mask_that_does_not_fit_changes_nothing(model: nn.Sequential, frozen: Frozen) -> None:
    wrong = {"0.weight": torch.zeros(1, dtype=torch.bool), "nobody": torch.zeros(2).bool()}
    with pytest.raises(ValueError, match=r"'0\.weight'.*\(1,\).*'nobody'"), pruned(model, wrong):
        pytest.fail("it went in")
    assert frozen()


class Largest(TorchDispatchMode):
    """The most elements of any tensor that an operation makes, views of others aside."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        known = {one.untyped_storage().data_ptr() for one in args if isinstance(one, Tensor)}
        if isinstance(made, Tensor) and made.untyped_storage().data_ptr() not in known:
            self.elements = max(self.elements, made.numel())
        return made


def test_what_is_held_at_once_grows_with_the_piece_and_not_with_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(temporarily, "PIECE", 64)
    model = nn.Linear(100, 90, bias=False)
    mask, other = ({"weight": torch.rand(90, 100) < keep} for keep in (0.5, 0.3))
    with Largest() as largest, pruned(model, mask):
        pass
    assert 0 < largest.elements <= 64
    with Largest() as largest:
        compute_ticket_overlap(mask, other, "dice")
    # Beside the pieces there is the distribution by chance, whose length is 12 standard deviations and 40 to each side.
    assert 0 < largest.elements < 2 * (12 * 22 + 42)


@given(
    shape=st.lists(st.integers(0, 5), min_size=0, max_size=4),
    size=st.integers(1, 9),
    flip=st.booleans(),
)
def test_blocks_cover_each_element_once(shape: list[int], size: int, flip: bool) -> None:
    tensor = torch.arange(torch.Size(shape).numel()).view(shape)
    if flip and tensor.dim() > 1:
        tensor = tensor.transpose(0, -1)
    counted = torch.zeros_like(tensor)
    for one, other in blocks(tensor, counted, size):
        assert one.shape == other.shape
        assert one.numel() <= size
        other += 1
    assert (counted == 1).all()
