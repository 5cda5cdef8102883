"""What a cluster cannot carry out though a single machine could: one sentence, before any Job is made."""

from collections.abc import Iterator
from itertools import chain

from ticketsmith.experiment.placement import ResourcesSpec
from ticketsmith.experiment.spec import ArtifactsSpec, PruningExperiment
from ticketsmith_operator.render.mounts import artifacts_path, clashes
from ticketsmith_operator.render.resources import amount

_REMEDY = "write gs://bucket/prefix, or file:///artifacts with persistentVolumeClaim: NAME"


def unrenderable(experiment: PruningExperiment) -> str | None:
    """Why the experiment's rounds cannot become Jobs: field, value and remedy; None if they can."""
    spec = experiment.spec
    problems = chain(_artifacts(spec.artifacts), clashes(spec), _resources(spec.runner.resources))
    return next(problems, None)


def _artifacts(kept: ArtifactsSpec | None) -> Iterator[str]:
    if kept is None:
        yield f"spec.artifacts is missing, but on a cluster rounds hand on what they made through it: {_REMEDY}"
        return
    at, claim = f"spec.artifacts.uri is {kept.uri!r}", kept.persistent_volume_claim
    if kept.uri.startswith("gs://"):
        if not kept.uri.removeprefix("gs://").strip("/"):
            yield f"{at}, which names no bucket: {_REMEDY}"
        elif claim:
            yield f"{at}, which needs no persistentVolumeClaim ({claim}): remove it, or write file:///artifacts"
    elif not kept.uri.startswith("file:///"):
        yield f"{at}, which rounds on a cluster cannot reach: {_REMEDY}"
    elif not claim:
        yield f"{at}, but a Pod's own folder is gone with it: add persistentVolumeClaim: NAME"
    elif ":" in artifacts_path(kept.uri) or not artifacts_path(kept.uri).isprintable():
        yield f"{at}, but nothing can be mounted at a path with a colon or control character: {_REMEDY}"


def _resources(wanted: ResourcesSpec) -> Iterator[str]:
    at = "spec.runner.resources"
    for name in filter(_is_given_once, {**wanted.requests, **wanted.limits}):
        asked, most = wanted.requests.get(name), wanted.limits.get(name)
        if most is None or (asked is not None and amount(asked) != amount(most)):
            yield f"{at}.requests.{name} is {asked}, and its limit is {most or 'missing'}: write it under limits alone"
        elif amount(most) % 1:
            yield f"{at}.limits.{name} is {most}, but it is given in whole numbers: write {int(amount(most)) + 1}"
    for name, asked in wanted.requests.items():
        most = wanted.limits.get(name)
        if most is not None and amount(asked) > amount(most):
            yield f"{at}.requests.{name} is {asked}, more than its limit {most}: ask for {most} or raise the limit"


def _is_given_once(name: str) -> bool:
    """Whether it cannot be promised twice, as GPUs and whatever else a device plugin offers: Kubernetes wants a limit
    for it then, even of 0."""
    return "/" in name or name.startswith("hugepages-")
