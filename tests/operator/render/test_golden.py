"""Manifests of interesting experiments stay as they were reviewed."""

import golden_jobs
import pytest
from golden_jobs import experiments, jobs, kept

from ticketsmith_operator.render.job import unrenderable

RENDERED = jobs()


def test_every_experiment_has_its_job_and_every_job_its_experiment() -> None:
    assert kept().keys() == RENDERED.keys(), f"stale: run python {golden_jobs.__file__}"
    assert {"spot-gpu", "queued-claim", "mounted-key"} <= RENDERED.keys()


@pytest.mark.parametrize("name", RENDERED)
def test_a_job_is_as_it_was_reviewed(name: str) -> None:
    assert RENDERED[name] == kept()[name], f"changed: run python {golden_jobs.__file__}, look, keep"


@pytest.mark.parametrize(("name", "experiment"), experiments().items(), ids=experiments())
def test_the_examples_can_be_rendered(name: str, experiment: object) -> None:
    assert unrenderable(experiment) is None
    assert experiment.metadata.name.startswith(name)
