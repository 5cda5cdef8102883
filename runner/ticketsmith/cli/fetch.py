"""ticketsmith report NAME: the report of an experiment on a cluster, in a folder here."""

import shutil
import tempfile
from pathlib import Path

from ticketsmith.cli.afar import address, read_whole
from ticketsmith.cli.where import reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.resource import find
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ArtifactsSpec
from ticketsmith.local.reporting import place_report
from ticketsmith.local.rundir import RunDirectory
from ticketsmith.stores import open_store
from ticketsmith.stores.files import told


def fetch_report(name: str, wanted: Wanted, store: str | None, out: Path | None) -> Path:
    """Write the report to `out` (default: ./NAME-report): the report round's own files, or one drawn now from the
    status and the store's results. Returns the path of its page; BadSpec if the artifacts cannot be read here."""
    kube = reach(wanted)
    experiment = read_whole(find(kube, name))
    status = experiment.status
    if status is None or not (status.ledger or any(r.state == "Done" for r in status.rounds)):
        raise BadSpec(
            f"{name} has no finished round to report on yet: `ticketsmith status` tells more"
        )
    uri = open_store(store or address(experiment, kube.namespace)).uri
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
