"""The sizing benchmark runs and writes what it found."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., tuple[dict[str, Any], str]]


@pytest.mark.slow
def test_it_measures_and_writes(run_quickly: Run) -> None:
    result, text = run_quickly("sizing.py", "--only", "GPT,fp32,fisher")
    assert [case["call"] for case in result["cases"]] == ["fisher", "fisher, host"]
    for case in result["cases"]:
        assert case["weights"] == 5_847_040
        assert case["predicted"] > case["weights"]
        assert case["measured"] > case["weights"]
    assert "| GPT | fp32 | fisher | 6 |" in text
    assert "| peak GB, batch 1 | 0.5B (0.49 billion weights) |" in text
