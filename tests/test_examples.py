"""Every experiment under examples/ is a good one, and together they are the ones that were promised."""

from pathlib import Path

import pytest
import yaml

from ticketsmith.engine import data, models
from ticketsmith.experiment.check import check
from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.steps import steps

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


def test_the_promised_ones_are_there() -> None:
    assert {file.stem for file in EXAMPLES} >= {
        "quickstart",
        "mnist-cnn",
        "mnist-lenet300",
        "mnist-lenet5",
        "cifar10-conv4",
        "cifar10-resnet18",
        "digits-iterative",
        "digits-one-shot",
        "digits-channels",
        "digits-two-four",
    }


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_it_is_valid_and_its_network_takes_its_data(file: Path) -> None:
    experiment = parse_experiment(yaml.safe_load(file.read_text()))
    spec = experiment.spec
    assert experiment.metadata.name == file.stem
    assert list(check(spec)) == []
    found = data.shape(spec.dataset)
    assert found is not None
    models.check(spec.model, *found)
    assert len(steps(spec)) > 4
    assert f"ticketsmith run examples/{file.name}" in file.read_text()


def test_one_shot_and_iterative_differ_in_nothing_else() -> None:
    iterative, one_shot = (
        parse_experiment(yaml.safe_load((EXAMPLES[0].parent / name).read_text())).spec
        for name in ("digits-iterative.yaml", "digits-one-shot.yaml")
    )
    assert (iterative.pruning.method, one_shot.pruning.method) == ("iterative", "oneShot")
    same = iterative.pruning.model_copy(update={"method": "oneShot"})
    assert iterative.model_copy(update={"pruning": same}) == one_shot
