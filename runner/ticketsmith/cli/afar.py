"""An experiment on a cluster, whole, and where its artifacts can be read from here."""

import json
from pathlib import Path

from pydantic import ValidationError

from ticketsmith.cluster.resource import Seen, Unreadable
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.steps import REPORT


def read_whole(seen: Seen) -> PruningExperiment:
    """Spec and status; Unreadable if they are of a version that this one does not know."""
    try:
        return PruningExperiment.model_validate_json(json.dumps(seen.body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            f"{seen.name} cannot be read ({where}: {first['msg']}): install the ticketsmith that belongs to the "
            "cluster's operator"
        ) from error


def address(experiment: PruningExperiment, namespace: str) -> str:
    """Where the artifacts are; BadSpec if that cannot be reached from here at all."""
    name, artifacts = experiment.metadata.name, experiment.spec.artifacts
    if artifacts is None:
        raise BadSpec(
            f"{name} names no artifact store: name the place of its artifacts with --store"
        )
    uri = artifacts.uri
    if not uri.startswith("file://") or Path(uri.removeprefix("file://")).is_dir():
        return uri
    folder = uri.removeprefix("file://")
    claim = artifacts.persistent_volume_claim
    kept = f"on the claim {claim}" if claim else f"at {folder} on the cluster's nodes"
    rounds = experiment.status.rounds if experiment.status else ()
    key = next((r.key for r in rounds if r.name == REPORT and r.state == "Done"), None)
    page = f" (the report itself is in {key})" if key else ""
    raise BadSpec(
        f"the artifacts of {name} lie {kept}, which this machine does not have: copy them from a Pod that mounts it, "
        f"`kubectl cp -n {namespace} POD:{folder} store`{page}, and name the copy with --store store; "
        "docs/cluster.md shows such a Pod"
    )
