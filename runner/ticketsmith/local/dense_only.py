"""Planning for `ticketsmith train`: an experiment's dense rounds and nothing else. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ticketsmith.experiment.clock import rfc3339
from ticketsmith.experiment.decision import Decision, Observed, World
from ticketsmith.experiment.plan import plan
from ticketsmith.experiment.spec import PruningExperiment, SparsitiesSpec
from ticketsmith.experiment.status import RoundStatus


def plan_dense_only(
    experiment: PruningExperiment, observed: Sequence[Observed], world: World
) -> Decision:
    """As `plan`, for the same experiment without levels; it has succeeded when the dense rounds are done."""
    bare: dict[str, Any] = {
        # No file may ask for a ladder without levels; here it is just what is wanted.
        "sparsities": SparsitiesSpec.model_construct(targets=()),
        "controls": (),
        "benchmark": None,
    }
    spec = experiment.spec.model_copy(update=bare)
    decision = plan(experiment.model_copy(update={"spec": spec}), observed, world)
    dense = tuple(known for known in decision.status.rounds if known.arm == "dense")
    done = [known for known in dense if known.state == "Done"]
    progress = {"progress": f"{len(done)}/{len(spec.seeds)}"}
    if len(done) < len(spec.seeds):
        return replace(decision, status=decision.status.model_copy(update=progress))
    ending = progress | {
        "phase": "Succeeded",
        "reason": "AllRoundsDone",
        "rounds": dense,
        "finished_at": decision.status.finished_at or rfc3339(world.now),
        "message": _verdict(done),
    }
    return Decision(
        start=(),
        stop=decision.stop,
        status=decision.status.model_copy(update=ending),
        events=tuple(event for event in decision.events if event.reason == "RoundDone"),
        requeue_after=None,
    )


def _verdict(done: Sequence[RoundStatus]) -> str:
    accuracies = [known.metrics["accuracy"] for known in done if "accuracy" in known.metrics]
    if not accuracies:
        return "The dense network is trained."
    seeds = ", ".join(str(known.seed) for known in done)
    mean = sum(accuracies) / len(accuracies)
    return f"The dense network reaches {mean:.2%} on the test set (mean of the seeds {seeds})."
