"""`python -m ticketsmith.report --runs-prefix runs`: report on every run below a folder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ticketsmith.experiment.problems import Problem
from ticketsmith.report.runs import find_runs
from ticketsmith.report.write import PLOT, SUMMARY, write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report and say where it is; 2 and one sentence on bad input."""
    parser = argparse.ArgumentParser(prog="python -m ticketsmith.report", description=__doc__)
    parser.add_argument(
        "--runs-prefix", type=Path, default=Path("runs"), help="folder with runs below it (runs)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report"), help="folder to write to (report)"
    )
    given = parser.parse_args(arguments)
    try:
        html = write_report(find_runs(given.runs_prefix), given.out)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return int(problem.exit_code)
    print(f"Executive Report generated: {html.with_name(SUMMARY)}")
    if html.with_name(PLOT).exists():
        print(f"Quality Plot: {html.with_name(PLOT)}")
    print(f"Full Report: {html}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
