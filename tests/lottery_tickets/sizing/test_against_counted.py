"""Predictions against the bytes of tensors that are counted while the method really runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lottery_tickets import predict_peak
from lottery_tickets.sizing.counting import Counting
from lottery_tickets.sizing.network import network_of

SLACK = 600_000
"""Histograms and the like, which are of one size however small the network."""

CONVERSIONS = 12 << 20
"""What operations on 16 bits convert for themselves alone, at most, which is predicted and cannot be counted here."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_the_prediction_is_what_the_method_takes(
    network: Callable[[torch.dtype], tuple[nn.Module, list[Any]]],
    call: tuple[str, dict[str, Any], Callable[..., object]],
    dtype: torch.dtype,
) -> None:
    method, options, run = call
    model, data = network(dtype)
    predicted = predict_peak(model, method, data[0], device="cpu", **options)  # type: ignore[arg-type]
    with Counting() as count:
        run(model, data)
    counted = count.peak() + network_of(model).weight_bytes
    # What an operation takes for itself (to sort in, to convert), or what is found by a mask, is not counted.
    above = 1.25 if method == "hybrid" else 1.02
    unseen = SLACK
    if dtype == torch.bfloat16 and method in ("gradient", "snip", "taylor", "grasp", "hybrid"):
        unseen = CONVERSIONS
    if method in ("snip", "robustness"):
        unseen = CONVERSIONS
    assert counted * 0.98 - SLACK <= predicted.device_bytes <= counted * above + unseen
    assert predicted.host_bytes == 0
    assert sum(predicted.parts.values()) == predicted.device_bytes
    assert "rehearsed" in predicted.activations or "none" in predicted.activations
