"""Rounds that train nothing, and experiments made of them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketsmith.experiment.spec import PruningExperiment

# The children of the driver import the stand-in by its name.
sys.path.insert(0, str(Path(__file__).parent))

Make = Callable[..., PruningExperiment]


@pytest.fixture
def make() -> Make:
    """An experiment of stand-in rounds: two seeds, two levels, one control unless told otherwise."""

    def build(
        limits: dict[str, Any] | None = None, suspend: bool = False, **options: Any
    ) -> PruningExperiment:
        return PruningExperiment.model_validate(
            {
                "metadata": {"name": "made-up"},
                "spec": {
                    "model": {"name": "stand-in", "options": options},
                    "sparsities": {"targets": [0.5, 0.75]},
                    "controls": ["reinit"],
                    "seeds": [0, 1],
                    "limits": limits or {},
                    "suspend": suspend,
                },
            }
        )

    return build
