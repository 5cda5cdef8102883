"""The early-bird benchmark runs and writes what it found."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., tuple[dict[str, Any], str]]


@pytest.mark.slow
def test_it_measures_and_writes(run_quickly: Run) -> None:
    result, text = run_quickly("early_bird.py", "--threads", "1")
    assert result["network"]["weights"] == 4 * 256 * 256
    for dtype, size in (("fp32", 4), ("bf16", 2)):
        for name, found in result["memory"][dtype].items():
            assert found["weights"] == 4 * 256 * 256 * size, name
            assert 0 < found["activations"] < found["weights"], name
            assert 0 < found["training"] <= found["whole"], name
    assert "| fp32, in backward |" in text
