"""A document written out and read back is the same document."""

from ticketsmith.experiment.spec import PruningExperiment


def experiment(**spec: object) -> PruningExperiment:
    return PruningExperiment.model_validate(
        {"metadata": {"name": "one"}, "spec": {"model": {"name": "lenet300"}, **spec}}
    )


def test_a_null_that_differs_from_the_default_is_kept() -> None:
    without = experiment(benchmark=None)
    assert without.document()["spec"]["benchmark"] is None
    assert PruningExperiment.model_validate(without.document()) == without


def test_a_null_that_is_the_default_is_left_out() -> None:
    plain = experiment()
    assert "artifacts" not in plain.document()["spec"]
    assert PruningExperiment.model_validate(plain.document()) == plain
