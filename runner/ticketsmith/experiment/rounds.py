"""From a step to the RoundSpec its round is told. Keys are computed here, only for rounds about to start."""

from collections.abc import Mapping, Sequence

from ticketsmith.experiment.base import API_VERSION, KIND
from ticketsmith.experiment.best import Ticket
from ticketsmith.experiment.contract import BenchmarkRound, Parents, ReportRound, TrainRound
from ticketsmith.experiment.decision import World
from ticketsmith.experiment.spec import BenchmarkSpec, PruningExperiment, RetentionSpec
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.experiment.steps import BENCHMARK, REPORT, Step, round_name


def train_round(
    step: Step, experiment: PruningExperiment, world: World, rounds: Mapping[str, RoundStatus]
) -> TrainRound:
    """A training round, with its parents named by key: they must be done."""
    if step.arm == "benchmark" or step.arm == "report":
        raise ValueError(f"{step.name} trains nothing")
    if step.seed is None or step.level is None or step.sparsity is None:
        raise ValueError(f"{step.name} lacks its seed, level or sparsity")
    spec = experiment.spec
    keys = [rounds[parent].key for parent in step.parents]
    if step.arm == "dense":
        parents = Parents()
    elif step.arm == "ticket":
        parents = Parents(dense=keys[0], scored=keys[-1])
    else:
        parents = Parents(dense=keys[0], ticket=keys[-1])
    return TrainRound(
        name=step.name,
        experiment=experiment.metadata.name,
        runner_version=world.runner_version,
        arm=step.arm,
        seed=step.seed,
        level=step.level,
        sparsity=step.sparsity,
        model=spec.model,
        dataset=spec.dataset,
        training=spec.training,
        rewind=spec.pruning.rewind,
        pruning=None if step.arm == "dense" else spec.pruning,
        parents=parents,
    )


def benchmark_round(
    experiment: PruningExperiment,
    benchmark: BenchmarkSpec,
    world: World,
    rounds: Mapping[str, RoundStatus],
    tickets: Sequence[Ticket],
    best: Ticket,
) -> BenchmarkRound:
    """Time every kept ticket of the best ticket's seed against that seed's dense round."""
    dense = rounds[round_name("dense", best.seed, 0)].key
    if dense is None:
        raise ValueError(f"the dense round of {best.name} has no key")
    timed = sorted((t for t in tickets if t.seed == best.seed), key=lambda t: t.level)
    return BenchmarkRound(
        name=BENCHMARK,
        experiment=experiment.metadata.name,
        runner_version=world.runner_version,
        machine=world.machine,
        model=experiment.spec.model,
        dataset=experiment.spec.dataset,
        benchmark=benchmark,
        dense=dense,
        tickets=tuple(ticket.key for ticket in timed),
    )


def report_round(experiment: PruningExperiment, world: World, status: Status) -> ReportRound:
    """Report on the experiment as it stands in `status`."""
    # What is kept of the rounds later is no part of what they found, and so no part of the key.
    spec = experiment.spec.model_copy(update={"retention": RetentionSpec()})
    return ReportRound(
        name=REPORT,
        experiment=experiment.metadata.name,
        runner_version=world.runner_version,
        resource={
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": experiment.metadata.name},
            "spec": spec.document(),
            "status": status.document(),
        },
    )
