"""The machine's side: a control plane without controllers, the operator in it, and what they consume."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from control_plane import ControlPlane
from operator_process import OperatorProcess
from supervised import Supervised

from operator_scale.figures import Sample, read_counters
from operator_scale.jobs import MANAGER

ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
LOOKS = ("ticketsmith_reconcile_duration_seconds_count", ())


class Server(ControlPlane):
    """etcd and the API server, and nobody who would carry out a Job or collect garbage."""

    def start(self) -> None:
        """Start both, and install our resource."""
        try:
            self._write_credentials()
            self._start_store()
            self.start_api_server()
            self.install_crds(ROOT / "crds")
        except BaseException:
            self.stop()
            raise

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in self._running.items()}

    def counters(self) -> dict[Sample, float]:
        """The API server's own metrics."""
        return read_counters(self.kubectl("get", "--raw", "/metrics").stdout)


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at one moment."""

    at: float
    cpu_seconds: Mapping[str, float]
    """By process, since its start."""
    server: Mapping[Sample, float]
    operator: Mapping[Sample, float]
    rounds: int
    """Jobs that the player had met."""


def start_operator(server: Server) -> OperatorProcess:
    """The operator as released, but for who carries out its Jobs."""
    return OperatorProcess(server.kubeconfig, job_managed_by=MANAGER)


def start_floor(server: Server, steps: int) -> Supervised:
    """The bare loop, in a process of its own."""
    command = [sys.executable, "-m", "operator_scale.floor", str(server.kubeconfig), str(steps)]
    path = os.pathsep.join(str(ROOT / part) for part in ("benchmarks", "tests/cluster"))
    return Supervised(command, server.folder / "floor.log", os.environ | {"PYTHONPATH": path})


async def take_reading(
    server: Server, contender: OperatorProcess | Supervised, rounds: int
) -> Reading:
    """Read everything. It costs some tenths of a second, so it is done before and after what is measured."""
    at = time.perf_counter()
    is_ours = isinstance(contender, OperatorProcess)
    process = contender.process if is_ours else contender
    pids = server.pids() | {"player": os.getpid(), "contender": process.pid}
    cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
    own = await operator_counters(contender) if is_ours else {}
    counters = await asyncio.to_thread(server.counters)
    return Reading(at, cpu, counters, own, rounds)


async def operator_counters(operator: OperatorProcess) -> dict[Sample, float]:
    """The operator's own metrics."""
    _, text = await asyncio.to_thread(operator.read, "/metrics")
    return read_counters(text)


async def start_up_seconds(operator: OperatorProcess, began: float, experiments: int) -> float:
    """Seconds from `began` until the operator is ready and has looked at each experiment once."""
    await asyncio.to_thread(operator.wait_ready)
    while True:
        counters = await operator_counters(operator)
        depth = counters.get(("ticketsmith_workqueue_depth", ()), 0.0)
        if counters.get(LOOKS, 0.0) >= experiments and not depth:
            return time.perf_counter() - began
        await asyncio.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now, and the most it ever was, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in lines)
        if name.startswith("Vm")
    }
    return kib["VmRSS"] * 1024 / 1e6, kib["VmHWM"] * 1024 / 1e6
