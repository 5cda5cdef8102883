"""The report of a run, in its directory: the report round's own files, or, where none ran, one drawn now."""

import shutil
from pathlib import Path

from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.results import RESULT
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.steps import REPORT
from ticketsmith.local import tasks
from ticketsmith.local.children import call
from ticketsmith.local.rundir import RunDirectory
from ticketsmith.stores.base import Store
from ticketsmith.stores.files import told

PAGE = "report.html"


def place_report(run: RunDirectory, experiment: PruningExperiment, store: Store) -> Path:
    """Have the report in RUN/report; the path of its page. It is left as it is where nothing happened since."""
    page = run.report / PAGE
    if page.exists() and page.stat().st_mtime_ns >= run.resource.stat().st_mtime_ns:
        return page
    result = _report_round(experiment, store)
    if result is None:
        return call(tasks.report, run.path.absolute(), run.report.absolute())
    with told("write the report to", run.report):
        run.report.mkdir(exist_ok=True)
        for name, sha256 in result.files.items():
            shutil.copyfile(store.fetch(result.key, name, sha256), run.report / name)
    return page


def _report_round(experiment: PruningExperiment, store: Store) -> RoundResult | None:
    """What the report round answered, if the experiment came so far."""
    for known in experiment.status.rounds if experiment.status else ():
        if known.name == REPORT and known.state == "Done" and known.key:
            text = store.read_text(known.key, RESULT)
            return RoundResult.model_validate_json(text) if text else None
    return None
