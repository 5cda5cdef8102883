"""What a driver has done in a child of its own, because it needs torch, which takes seconds to import.

The imports stand inside the functions: the driver imports this module only to name them to `children.call`.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ticketsmith.experiment.spec import ExperimentSpec
from ticketsmith.local.machine import Machine, usable_cores

if TYPE_CHECKING:
    from ticketsmith.local.calibrate import Calibration


def preflight(spec: ExperimentSpec) -> Machine:
    """The machine, with $TICKETSMITH_DEVICE obeyed; BadSpec if the experiment cannot work here."""
    from ticketsmith.engine.device import choose_device
    from ticketsmith.engine.environment import environment
    from ticketsmith.local.checks import check_experiment

    check_experiment(spec)
    device = choose_device()
    found = environment(device)
    words = found.device if found.gpus else found.processor
    return Machine(cores=usable_cores(), gpus=found.gpus, device=f"{device.type} ({words})")


def report(run: Path, out: Path) -> Path:
    """Write the report of one run to the folder `out`; the path of its page."""
    from ticketsmith.report import write_report

    return write_report([run], out)


def calibrate(spec: ExperimentSpec, threads: int) -> "Calibration":
    """Time a few training steps with as many threads as a round would have."""
    from ticketsmith.engine.device import THREADS_VARIABLE
    from ticketsmith.local.calibrate import calibrate as measure

    os.environ[THREADS_VARIABLE] = str(threads)
    return measure(spec)


def shortest_round(spec: ExperimentSpec, threads: int) -> None:
    """Carry out the shortest round there is; what it takes, a round costs besides its steps."""
    from ticketsmith.engine.device import THREADS_VARIABLE
    from ticketsmith.local.calibrate import shortest_round as carry_out

    os.environ[THREADS_VARIABLE] = str(threads)
    carry_out(spec)
