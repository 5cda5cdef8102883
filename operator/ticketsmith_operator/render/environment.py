"""The environment a round's container starts with."""

from typing import Any, Final

from ticketsmith.experiment.decision import Start
from ticketsmith.experiment.envelope import pack
from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith_operator.render.mounts import SCRATCH
from ticketsmith_operator.render.resources import gpus, threads

STORE: Final = "TICKETSMITH_STORE"
THREADS: Final = "TICKETSMITH_THREADS"
DEVICE: Final = "TICKETSMITH_DEVICE"


def environment(start: Start, spec: ExperimentSpec) -> list[dict[str, Any]]:
    """The container's env: the operator's variables, then the user's, last the round itself.

    What may be set otherwise, and is, stands once, as the user has it.
    """
    theirs = [one.document() for one in spec.runner.env]
    taken = {one["name"] for one in theirs}
    ours = [one for one in _ours(spec) if one["name"] not in taken]
    told = [{"name": name, "value": value} for name, value in pack(start.round).items()]
    return [*ours, *theirs, *told]


def _ours(spec: ExperimentSpec) -> list[dict[str, Any]]:
    if spec.artifacts is None:
        raise ValueError("an experiment without artifacts cannot be rendered: ask unrenderable()")
    values = {
        # Kubernetes expands $(NAME); a dollar sign that is meant is written twice.
        STORE: spec.artifacts.uri.replace("$", "$$"),
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        THREADS: str(threads(spec.runner.resources)),
    }
    if gpus(spec.runner.resources):
        # A GPU that was paid for and is not there ends the round; without this it would go on, slowly, on the CPU.
        values[DEVICE] = "cuda"
    return [{"name": name, "value": value} for name, value in values.items()]
