"""What really ran, and when: the ground truth that the fault tests compare the operator's story with."""

import itertools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketsmith_operator.names import ATTEMPT_LABEL, ROUND_LABEL, UID_LABEL

JOB_LABEL = "batch.kubernetes.io/job-name"


@dataclass
class Ran:
    """One container that was started. Times are Unix seconds; `ended` and `exit` are None while it runs."""

    experiment: str
    """uid of the experiment; the namespace for a Pod that is none of ours."""
    round: str
    """Name of the round; the Job's or the Pod's name for a Pod that is none of ours."""
    attempt: int
    pod: str
    pod_uid: str
    folder: Path
    """Where its working directory and its output (`log`) lie."""
    started: float
    ended: float | None = None
    exit: int | None = None

    def finish(self, code: int) -> None:
        """Note that it has ended; the first end counts."""
        if self.ended is None:
            self.ended, self.exit = time.time(), code

    @property
    def log(self) -> str:
        """What it printed."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""


def identity(pod: Mapping[str, Any]) -> tuple[str, str, int]:
    """Experiment, round and attempt that a Pod stands for."""
    meta = pod["metadata"]
    labels = meta.get("labels", {})
    name = labels.get(ROUND_LABEL) or labels.get(JOB_LABEL) or meta["name"]
    return labels.get(UID_LABEL, meta["namespace"]), name, int(labels.get(ATTEMPT_LABEL, 1))


def overlapping(history: Iterable[Ran]) -> list[tuple[Ran, Ran]]:
    """Pairs of containers that worked on the same round at the same time. There must be none."""
    pairs = []
    ordered = sorted(history, key=lambda ran: (ran.experiment, ran.round, ran.started))
    for _, group in itertools.groupby(ordered, key=lambda ran: (ran.experiment, ran.round)):
        for earlier, later in itertools.combinations(list(group), 2):
            if earlier.ended is None or later.started < earlier.ended:
                pairs.append((earlier, later))
    return pairs
