"""What a test of the plan asks for; what lies beside the tests is imported by its name."""

import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import Lab, experiment, result

from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.spec import PruningExperiment


@pytest.fixture(scope="session")
def make_experiment() -> Callable[..., PruningExperiment]:
    return experiment


@pytest.fixture(scope="session")
def make_lab() -> Callable[..., Lab]:
    return Lab


@pytest.fixture(scope="session")
def make_result() -> Callable[..., RoundResult]:
    return result


@pytest.fixture(scope="session")
def priced() -> Callable[..., Prices]:
    def build(hourly: str = "3.6", gpus: int = 0) -> Prices:
        return replace(Prices(), hourly=Decimal(hourly), currency="USD", gpus=gpus)

    return build
