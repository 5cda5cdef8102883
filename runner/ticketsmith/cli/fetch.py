"""ticketsmith report NAME: the report of an experiment on a cluster, in a folder here."""

import json
import shutil
import tempfile
from pathlib import Path

from pydantic import ValidationError

from ticketsmith.cli.where import reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.resource import Seen, Unreadable, find
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ArtifactsSpec, PruningExperiment
from ticketsmith.experiment.steps import REPORT
from ticketsmith.local.reporting import place_report
from ticketsmith.local.rundir import RunDirectory
from ticketsmith.stores import open_store
from ticketsmith.stores.files import told


def fetch_report(name: str, wanted: Wanted, store: str | None, out: Path | None) -> Path:
    """Write the report to `out` (default: ./NAME-report): the report round's own files, or one drawn now from the
    status and the store's results. Returns the path of its page; BadSpec if the artifacts cannot be read here."""
    kube = reach(wanted)
    experiment = _read(find(kube, name))
    status = experiment.status
    if status is None or not (status.ledger or any(r.state == "Done" for r in status.rounds)):
        raise BadSpec(
            f"{name} has no finished round to report on yet: `ticketsmith status` tells more"
        )
    uri = open_store(store or _address(experiment, kube.namespace)).uri
    spec = experiment.spec.model_copy(update={"artifacts": ArtifactsSpec(uri=uri)})
    here = experiment.model_copy(update={"spec": spec})
    folder = out or Path(f"{name}-report")
    with tempfile.TemporaryDirectory() as runs:
        # As a run directory it can be reported on by what reports on those.
        directory = RunDirectory(Path(runs), here)
        with directory.locked():
            directory.write(here)
        page = place_report(directory, here, open_store(uri))
        with told("write the report to", folder):
            shutil.copytree(page.parent, folder, dirs_exist_ok=True)
    return folder / page.name


def _read(seen: Seen) -> PruningExperiment:
    try:
        return PruningExperiment.model_validate_json(json.dumps(seen.body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            f"{seen.name} cannot be read ({where}: {first['msg']}): install the ticketsmith that belongs to the "
            "cluster's operator"
        ) from error


def _address(experiment: PruningExperiment, namespace: str) -> str:
    """Where the artifacts are, if that can be reached from here at all."""
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
        f"`kubectl cp -n {namespace} POD:{folder} store`{page}, then `ticketsmith report {name} --store store`; "
        "docs/cluster.md shows such a Pod"
    )
