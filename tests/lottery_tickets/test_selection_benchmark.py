"""The selection benchmark runs, checks its own answers and writes what it found."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., tuple[dict[str, Any], str]]


@pytest.mark.slow
def test_it_measures_and_writes(run_quickly: Run) -> None:
    result, text = run_quickly("selection.py", "--threads", "1")
    assert result["weights"] == 200_000
    assert set(result["ratios"]) == {
        *("threshold against sort", "threshold against kthvalue"),
        "select against torch prune",
    }
    for name, times in result["seconds"].items():
        assert len(times) == 2, name
        assert min(times) > 0, name
    assert "sort" in result["sizes"]["100000"]["seconds"]
    assert set(result["sizes"]["200000"]["seconds"]) == {"threshold", "select", "read"}
    assert "| threshold against sort |" in text
    assert text.count("times as long as reading the weights once") == 3
    assert "On 200,000 the peers are not run" in text
