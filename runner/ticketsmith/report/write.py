"""Write a report: report.html, executive_summary.md, report.pdf and the pictures as PNG."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ticketsmith.experiment.problems import BadSpec
from ticketsmith.report.document import document
from ticketsmith.report.findings import rows
from ticketsmith.report.markdown import markdown
from ticketsmith.report.page import page
from ticketsmith.report.pictures import Picture, pictures_of_all
from ticketsmith.report.runs import Run, load_runs
from ticketsmith.report.tables import Table, overview
from ticketsmith.report.view import view

HTML = "report.html"
SUMMARY = "executive_summary.md"
PDF = "report.pdf"
PLOT = "report_plot.png"


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Report on run directories, all in one.

    Args:
        runs: folders that hold a resource.json.
        out: folder to write to; None is RUN/report for one run, ./report for several.

    Returns:
        The path of report.html.

    Raises:
        BadSpec: a run cannot be read, or `out` cannot be written.
    """
    if not runs:
        raise BadSpec("no run is named: give at least one run directory")
    folder = out or (runs[0] / "report" if len(runs) == 1 else Path("report"))
    loaded = load_runs(runs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in render(loaded).items():
            replace(folder / name, content)
    except OSError as error:
        raise BadSpec(
            f"the report cannot be written to {str(folder)!r} ({error.strerror}): name another folder with --out"
        ) from error
    return folder / HTML


def render(runs: Sequence[Run]) -> dict[str, bytes]:
    """The files of a report by name. Equal runs give equal bytes."""
    several = len(runs) > 1
    views = [view(run, f"{run.label}-" if several else "") for run in runs]
    together: list[Picture] = []
    summary: Table | None = None
    heading = f"{runs[0].experiment.metadata.name}: pruning report"
    if several:
        tables = [(run, rows(run)) for run in runs]
        together = pictures_of_all(tables)
        summary = overview(tables)
        heading = f"Pruning report on {len(runs)} runs"
    pictures = [*together, *(picture for one in views for picture in one.pictures)]
    return {
        HTML: page(views, heading, summary, together).encode(),
        SUMMARY: markdown(views, heading, summary, together).encode(),
        PDF: document(views, heading, summary, together),
        **{f"{picture.name}.png": picture.png for picture in pictures},
    }


def replace(file: Path, content: bytes) -> None:
    """Write aside and rename, so that a reader never sees half a file."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as aside:
        aside.write(content)
    Path(aside.name).chmod(0o644)
    Path(aside.name).replace(file)
