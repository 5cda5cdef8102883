"""What a finished round leaves behind."""

import torch

from ticketsmith.engine.publish import without_negative_zeros


def test_a_pruned_weight_is_stored_as_positive_zero() -> None:
    """Multiplied by its mask a negative weight becomes -0, whose bits are not all zero."""
    mask = {"fc.weight": torch.tensor([[True, False], [False, True]])}
    weight = torch.tensor([[-1.0, -2.0], [3.0, -0.0]]) * mask["fc.weight"]
    bias = torch.tensor([-0.0, 1.0])
    assert torch.signbit(weight[0, 1])
    stored = without_negative_zeros({"fc.weight": weight, "fc.bias": bias}, mask)
    assert stored["fc.weight"].view(torch.int32)[~mask["fc.weight"]].tolist() == [0, 0]
    kept = mask["fc.weight"]
    assert torch.equal(stored["fc.weight"].view(torch.int32)[kept], weight.view(torch.int32)[kept])
    assert stored["fc.bias"] is bias
