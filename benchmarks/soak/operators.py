"""The operator under the soak: killed, replaced, doubled for a while, and weighed all the time."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operator_process import OperatorProcess
from operator_scale.cluster import cpu_seconds, memory_mb

WEIGHED_EVERY = 2.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Resident memory at one moment of the soak."""

    at: float
    """Seconds since the beginning."""
    life: int
    """Which process it was: 0 is the first."""
    resident_mb: float


class Operators:
    """The one operator that always runs, but for moments after it was killed. A context manager."""

    def __init__(self, kubeconfig: Path, namespaces: list[str], **flags: Any) -> None:
        self._kubeconfig = kubeconfig
        self._namespaces = namespaces
        self._flags = flags
        self.lives = -1
        self.cpu_seconds = 0.0
        """Of all processes that have ended."""
        self.fallen: list[str] = []
        """Each time that the operator ended though nobody had ended it. There must be none."""
        self.weights: list[Weight] = []
        self.most_mb = 0.0
        self._began = time.monotonic()
        self._change = threading.Lock()
        self._over = threading.Event()
        self._scale = threading.Thread(target=self._weigh, name="scale")

    def __enter__(self) -> "Operators":
        self._began = time.monotonic()
        self._start()
        self.current.wait_ready()
        self._scale.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._scale.join()
        with self._change:
            self._note_cpu()
            self.current.terminate()

    def kill(self) -> None:
        """As a lost machine would, and start the next."""
        with self._change:
            self._note_cpu()
            self.current.kill()
            self._start()

    def terminate(self) -> None:
        """As Kubernetes does, and start the next."""
        with self._change:
            self._note_cpu()
            self.current.terminate()
            self._start()

    def another(self) -> OperatorProcess:
        """A second one that works on the same; the caller ends it."""
        return OperatorProcess(self._kubeconfig, self._namespaces, **self._flags)

    def _start(self) -> None:
        self.current = self.another()
        self.lives += 1

    def _note_cpu(self) -> None:
        self.cpu_seconds += cpu_seconds(self.current.process.pid)

    def _weigh(self) -> None:
        while not self._over.wait(WEIGHED_EVERY):
            with self._change:
                code = self.current.process.exit_code
                if code is not None:  # what Kubernetes would do
                    at = time.monotonic() - self._began
                    self.fallen.append(
                        f"the operator ended by itself after {at:.0f} s, exit {code}"
                    )
                    print(self.fallen[-1], flush=True)
                    self._start()
                    continue
                resident, most = memory_mb(self.current.process.pid)
            self.most_mb = max(self.most_mb, most)
            self.weights.append(Weight(time.monotonic() - self._began, self.lives, resident))
