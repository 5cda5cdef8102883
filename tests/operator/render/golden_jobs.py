"""The Jobs of interesting experiments. `python tests/operator/render/golden_jobs.py` writes them into jobs/ anew."""

from pathlib import Path
from typing import Any

import yaml

from ticketsmith.experiment.decision import Start, World
from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith_operator.render.job import render_job
from ticketsmith_operator.settings import Settings

HERE = Path(__file__).parent
JOBS = HERE / "jobs"
EXAMPLES = HERE.parents[2] / "examples" / "cluster"
UID = "6f1c3a52-9d0e-4c0b-8f55-2f6f0d6a7e01"
SETTINGS = Settings(image="registry.example.com/ticketsmith/runner:1.2.3")


def experiments() -> dict[str, PruningExperiment]:
    """By file name: the examples for clusters, and those that stand here for the sake of the test."""
    files = [*sorted(EXAMPLES.glob("*.yaml")), *sorted((HERE / "experiments").glob("*.yaml"))]
    return {
        file.stem: as_read(document)
        for file in files
        for document in yaml.safe_load_all(file.read_text())
        if document["kind"] == "PruningExperiment"
    }


def as_read(document: dict[str, Any]) -> PruningExperiment:
    """The experiment as it is read from a cluster, which gives it a namespace and a uid."""
    metadata = {**document["metadata"], "namespace": "lab", "uid": UID}
    return parse_experiment({**document, "metadata": metadata})


def first_start(experiment: PruningExperiment) -> Start:
    """The first attempt that the plan asks for."""
    world = World(now=1_750_000_000.0, runner_version="1.2.3", machine="a node", capacity=1)
    return plan(experiment, (), world).start[0]


def jobs() -> dict[str, dict[str, Any]]:
    """The manifests, by the experiments' file names."""
    return {
        name: render_job(first_start(experiment), experiment, SETTINGS)
        for name, experiment in experiments().items()
    }


def kept() -> dict[str, dict[str, Any]]:
    """The manifests as they lie in jobs/."""
    return {file.stem: yaml.safe_load(file.read_text()) for file in sorted(JOBS.glob("*.yaml"))}


def write() -> None:
    """Write jobs/ anew."""
    JOBS.mkdir(exist_ok=True)
    for file in JOBS.glob("*.yaml"):
        file.unlink()
    for name, job in jobs().items():
        text = yaml.safe_dump(job, sort_keys=False, width=100, allow_unicode=True)
        (JOBS / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    write()
