"""The folder of a run: <runs>/<experiment>_<config hash>/, and the lock that keeps a second driver out."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from ticketsmith.experiment.decision import Event
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.stores.files import told, write_text

RESOURCE = "resource.json"
EXPERIMENT = "experiment.yaml"
_LOCKS = Path("/proc/locks")


class RunDirectory:
    """One run's files. Nothing is created before `locked`."""

    def __init__(self, runs: Path, experiment: PruningExperiment) -> None:
        self.config_hash = experiment.spec.config_hash
        self.path = runs / f"{experiment.metadata.name}_{self.config_hash}"

    @property
    def resource(self) -> Path:
        return self.path / RESOURCE

    @property
    def report(self) -> Path:
        return self.path / "report"

    def log(self, name: str, attempt: int) -> Path:
        """What one attempt at a round prints."""
        return self.path / "logs" / f"{name}.{attempt}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and be its only driver until the end; BadSpec names the process that already is."""
        with told("create the run", self.path):
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(handle, 20, 0).decode().strip() or "unknown"
                raise BadSpec(
                    f"{self.path} is already being run by process {pid}: wait for it to end, or stop it first"
                ) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(handle)

    def read(self) -> PruningExperiment | None:
        """The resource as last written; None before the first time. BadSpec if the file is damaged."""
        return read_resource(self.path)

    def write(self, experiment: PruningExperiment) -> None:
        """Keep spec and status."""
        path = self.resource
        with told("write", path):
            write_text(path, json.dumps(experiment.document(), indent=2, ensure_ascii=False) + "\n")

    def keep_experiment(self, text: str) -> None:
        """Keep the file as the person gave it."""
        path = self.path / EXPERIMENT
        with told("write", path):
            write_text(path, text)

    def append_event(self, event: Event, now: float) -> None:
        """Add a line to events.log."""
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = self.path / "events.log"
        line = f"{moment} {event.kind} {event.reason} {event.round or '-'} {event.message}\n"
        with told("write", path), path.open("a", encoding="utf-8") as stream:
            stream.write(line)


def run_directories(runs: Path) -> list[Path]:
    """What lies in `runs` and was made by a run, damaged ones too, by name; `runs` itself if it is one."""
    with told("list the runs in", runs):
        if _is_run(runs):
            return [runs]
        return sorted(path for path in runs.iterdir() if _is_run(path))


def is_driven(run: Path) -> bool | None:
    """Whether a process drives the run now; None where the system does not say. Takes no lock: a run that begins
    meanwhile must not find one."""
    try:
        of_run = (run / ".lock").stat()
        held = _LOCKS.read_text()
    except FileNotFoundError:
        return None if not _LOCKS.exists() else False
    except OSError:
        return None
    # Not the device: what stat calls it is not what the kernel calls it on btrfs and some overlays.
    inode = f":{of_run.st_ino} "
    return any(" FLOCK " in line and inode in line for line in held.splitlines())


def _is_run(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in (RESOURCE, EXPERIMENT))


def read_resource(run: Path) -> PruningExperiment | None:
    """Spec and status of a run directory; None where there are none. BadSpec if the file is damaged."""
    path = run / RESOURCE
    with told("read", path):
        if not path.exists():
            return None
        text = path.read_bytes()
    try:
        return PruningExperiment.model_validate_json(text)
    except ValidationError as error:
        raise BadSpec(
            f"{path} is damaged or from another version ({error.errors()[0]['msg']}): remove it to plan the run "
            "anew; finished rounds answer from the store"
        ) from error
