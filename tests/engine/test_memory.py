"""What a training needs is counted before it starts, and running out is told in bytes."""

import pytest
import torch
from torch import nn

from ticketsmith.engine import memory
from ticketsmith.experiment.problems import DoesNotFit
from ticketsmith.experiment.spec import TrainingSpec

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("training", "tensors"),
    [
        ({"optimizer": {"name": "sgd"}}, 2),
        ({"optimizer": {"name": "sgd", "momentum": 0.9}}, 3),
        ({"optimizer": {"name": "adam"}}, 4),
        ({"optimizer": {"name": "adamw"}, "select": "bestValidation"}, 5),
    ],
)
def test_the_prediction_counts_whole_copies_of_the_weights(
    training: dict[str, object], tensors: int
) -> None:
    spec = TrainingSpec.model_validate(training)
    assert memory.predicted_bytes(nn.Linear(9, 5, bias=False), spec) == 45 * 4 * tensors


def test_a_network_that_is_certain_not_to_fit_is_refused_before_it_trains() -> None:
    with torch.device("meta"):
        huge = nn.Linear(10**6, 10**6)
    with pytest.raises(
        DoesNotFit, match=r"at least 16,000,016,000,000 bytes .* are available on cpu"
    ):
        memory.check_fits(huge, TrainingSpec(), CPU)
    memory.check_fits(nn.Linear(10, 10), TrainingSpec(), CPU)


def test_an_allocation_that_fails_names_the_bytes_predicted_and_available() -> None:
    model = nn.Linear(10, 10)
    with (
        pytest.raises(
            DoesNotFit, match=r"at least 1,760 bytes were predicted .* [\d,]{7,} are available"
        ),
        memory.told_if_exhausted(model, TrainingSpec(), CPU),
    ):
        torch.empty(10**15)


def test_other_errors_pass() -> None:
    with (
        pytest.raises(RuntimeError, match="shapes"),
        memory.told_if_exhausted(nn.Linear(1, 1), TrainingSpec(), CPU),
    ):
        torch.ones(2, 3) @ torch.ones(2, 3)
