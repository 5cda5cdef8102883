"""What an experiment leaves to the operator that carries it out. Pure."""

from ticketsmith.experiment.spec import ArtifactsSpec, PruningExperiment
from ticketsmith_operator.settings import Settings


def complete(experiment: PruningExperiment, settings: Settings) -> PruningExperiment:
    """The experiment with the operator's artifact store where it names none; nothing of it is written back."""
    if experiment.spec.artifacts is not None or settings.artifacts_uri is None:
        return experiment
    store = ArtifactsSpec(
        uri=settings.artifacts_uri, persistent_volume_claim=settings.artifacts_claim
    )
    spec = experiment.spec.model_copy(update={"artifacts": store})
    return experiment.model_copy(update={"spec": spec})
