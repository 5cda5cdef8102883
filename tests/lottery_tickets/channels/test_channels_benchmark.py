"""The channels benchmark runs, checks its own answers and writes what it found."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., tuple[dict[str, Any], str]]


@pytest.mark.slow
def test_it_measures_and_writes(run_quickly: Run) -> None:
    result, text = run_quickly("channels.py", "--threads", "1")
    assert [one["network"] for one in result["networks"]] == ["resnet18", "mobilenet_v2"]
    for one in result["networks"]:
        assert one["parameters counted"] == one["parameters"][0] < one["parameters"][1]
    assert set(result["latency"]["milliseconds"]["1"]) == {"dense", "masked", "compacted"}
    assert "| resnet18 | ours |" in text
