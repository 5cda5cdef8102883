"""`python drive.py FILE RUNS`: the local driver with stand-in rounds, in a process that tests may kill."""

import sys
from pathlib import Path

import stand_in

from ticketsmith.cli.files import read_experiment
from ticketsmith.experiment.decision import Prices
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.view import View
from ticketsmith.local.continuation import status_to_go_on_from
from ticketsmith.local.driver import Driver
from ticketsmith.local.interrupt import Interrupt
from ticketsmith.local.machine import Machine
from ticketsmith.local.rundir import RunDirectory
from ticketsmith.local.silent import SilentView


def drive(
    experiment: PruningExperiment,
    runs: Path,
    *,
    machine: Machine | None = None,
    interrupt: Interrupt | None = None,
    view: View | None = None,
) -> PruningExperiment:
    """Run or go on, as `ticketsmith run` does."""
    run = RunDirectory(runs, experiment)
    interrupt = interrupt or Interrupt()
    with run.locked(), interrupt.listening():
        status = status_to_go_on_from(run.read())
        return Driver(
            run=run,
            store=str(runs / "store"),
            machine=machine or Machine(cores=2),
            prices=Prices(),
            view=view or SilentView(),
            execute=stand_in.execute,
            interrupt=interrupt,
        ).drive(experiment.model_copy(update={"status": status}))


if __name__ == "__main__":
    ended = drive(read_experiment(Path(sys.argv[1]))[0], Path(sys.argv[2]))
    print(ended.status.phase if ended.status else None)
