"""Whether a run goes on, begins anew, or is done already. Pure."""

from ticketsmith.experiment.clock import unix
from ticketsmith.experiment.decision import Observed
from ticketsmith.experiment.spec import ExperimentSpec, PruningExperiment
from ticketsmith.experiment.status import Status


def is_answered(stored: PruningExperiment | None, asked: ExperimentSpec) -> bool:
    """Whether what is on disk answers what is asked, so that nothing needs to run."""
    if stored is None or stored.status is None or stored.status.phase != "Succeeded":
        return False
    return _with_bearing(stored.spec) == _with_bearing(asked)


def status_to_go_on_from(stored: PruningExperiment | None) -> Status | None:
    """The stored status of a run that was cut short; None, to begin anew, after an ending.

    A run that ended is asked for again because it failed or because its limits changed. It is planned afresh, and
    its finished rounds answer from the store.
    """
    if stored is None or stored.status is None:
        return None
    return None if stored.status.phase in ("Succeeded", "Failed") else stored.status


def left_behind(status: Status | None, last_signs: dict[str, float]) -> list[Observed]:
    """Attempts that an earlier driver left running: they ended with it.

    `last_signs` gives the Unix time at which a round was last known to work, by its name.
    """
    observed = []
    for known in status.rounds if status else ():
        if known.state != "Running":
            continue
        started = unix(known.started_at) if known.started_at else None
        finished = last_signs.get(known.name, started)
        if started is not None and finished is not None:
            finished = max(started, finished)
        observed.append(
            Observed(
                known.name,
                known.attempts,
                "interrupted",
                started_at=started,
                finished_at=finished,
                message="its driver ended",
            )
        )
    return observed


def _with_bearing(spec: ExperimentSpec) -> dict[str, object]:
    """Everything but what only says how and where to run."""
    document = spec.model_dump(mode="json", exclude={"suspend", "runner", "artifacts", "retention"})
    document["limits"].pop("parallelism")
    return document
