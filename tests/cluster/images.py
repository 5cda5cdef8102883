"""Builds the operator's and the runner's image with buildah, in a storage of their own outside the checkout.

Every image is named by a hash of what goes into it, so PyTorch's layers (some minutes, 6 GB) are made once per lock
file, and a change of the code adds one small layer to them in seconds. Images that are no longer asked for are removed.
Needs root and, for what is to be installed, Debian's packages and the package index that this machine's pip is set up
for.
"""

import ast
import configparser
import fcntl
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools.build import CACHE

ROOT = Path(__file__).parents[2]
STORAGE = CACHE / "images"
# What lies here describes mounts, and has to go with them when the machine restarts.
_RUN = Path("/run/ticketsmith-images")

_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv"
# The base also serves as the image of the Pods' sandboxes, whose one task is to stay.
_BASE = """\
FROM scratch
ADD root.tar /
CMD ["sleep", "infinity"]
"""
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_NEEDS = ("buildah", "debootstrap", "skopeo", "tar")


class CannotBuild(Exception):
    """Images cannot be built on this machine; the message says what it lacks."""


@dataclass(frozen=True)
class Images:
    """Names of finished images in STORAGE."""

    base: str
    operator: str
    runner: str


def build_images() -> Images:
    """Build whichever image is missing. Safe to run twice at a time; CannotBuild says what the machine lacks."""
    if os.geteuid() != 0:
        raise CannotBuild("building images needs root")
    if lacking := [program for program in _NEEDS if shutil.which(program) is None]:
        raise CannotBuild(f"{' and '.join(lacking)} cannot be found: install the Debian packages")
    with _alone():
        base = _base()
        dependencies = {one: _dependencies(one, base) for one in ("operator", "runner")}
        finished = {one: _with_code(one, base, under) for one, under in dependencies.items()}
        _remove_all_but({base, *dependencies.values(), *finished.values()})
    return Images(base, **finished)


def stored(name: str) -> str:
    """Where skopeo finds an image of that name."""
    return f"containers-storage:[overlay@{STORAGE}+{_RUN}]{name}"


def run(*command: str | Path, stdin: IO[bytes] | None = None) -> str:
    """What a command prints; an error with its last words if it fails."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{words}")
    return done.stdout


def _base() -> str:
    """Debian with Python and nothing else, from its packages."""
    name = _name("base", _SUITE, _PACKAGES, _BASE)
    if not _exists(name):
        _tell(f"building {name} from Debian's packages")
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            folder, root = Path(temporary), Path(temporary) / "root"
            arguments = ["--variant=minbase", f"--include={_PACKAGES}", _SUITE, root]
            run("debootstrap", *arguments)
            for index in ("var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(root / index)
            run("tar", "--create", "--file", folder / "root.tar", "--directory", root, ".")
            (folder / "Dockerfile").write_text(_BASE)
            _buildah("bud", "--isolation", "chroot", "--tag", name, folder)
    return name


def _dependencies(image: str, base: str) -> str:
    """What the code of `image` is put upon: the stage `dependencies` of its Dockerfile."""
    stages, _, _ = _dockerfile(image).read_text().rpartition("\nFROM ")
    lock = ROOT / "requirements" / f"{image}.txt"
    name = _name(f"{image}-dependencies", base, stages, lock.read_text())
    if not _exists(name):
        _tell(f"building {name} from {lock.name}: this takes some minutes")
        with tempfile.TemporaryDirectory() as folder:
            secrets = _pip_secrets(Path(folder))
            network = ("--network", "host", "--target", "dependencies")
            _bud(image, name, *network, *secrets, "--build-arg", f"BASE={base}")
    return name


def _with_code(image: str, base: str, dependencies: str) -> str:
    name = _name(image, dependencies, _dockerfile(image).read_text(), *_code())
    if not _exists(name):
        _tell(f"building {name}")
        upon = (f"BASE={base}", f"DEPENDENCIES={dependencies}")
        _bud(image, name, *(word for one in upon for word in ("--build-arg", one)))
    return name


def _buildah(*arguments: str | Path) -> str:
    storage = ("--root", STORAGE, "--runroot", _RUN, "--storage-driver", "overlay")
    return run("buildah", *storage, *arguments)


def _bud(image: str, name: str, *options: str) -> None:
    file = ("--file", _dockerfile(image))
    _buildah("bud", "--isolation", "chroot", *options, "--tag", name, *file, ROOT)


def _dockerfile(image: str) -> Path:
    return ROOT / f"Dockerfile.{image}"


def _code() -> Iterator[str]:
    """Every file the images may copy: its path, then a hash of it."""
    for folder in ("runner", "operator"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield str(file.relative_to(ROOT))
                yield hashlib.sha256(file.read_bytes()).hexdigest()


def _pip_secrets(folder: Path) -> list[str]:
    """What this machine tells its pip (mirror, proxy, certificates), as secrets of the build: used, and not kept."""
    listed = run(sys.executable, "-m", "pip", "config", "list")
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = ast.literal_eval(value)
    kept = {name: settings[name] for name in _PIP_SETTINGS if name in settings}
    secrets = {"pip.conf": folder / "pip.conf"}
    authorities = settings.get("cert") or ssl.get_default_verify_paths().cafile
    if authorities:
        kept["cert"] = "/etc/pip-ca.pem"
        secrets["ca.pem"] = Path(authorities)
    config = configparser.RawConfigParser()
    config["global"] = kept
    with secrets["pip.conf"].open("w") as file:
        config.write(file)
    return [f"--secret=id={name},src={path}" for name, path in secrets.items()]


def _name(image: str, *ingredients: str) -> str:
    digest = hashlib.sha256("\0".join(ingredients).encode()).hexdigest()[:16]
    return f"localhost/ticketsmith-{image}:{digest}"


def _names() -> set[str]:
    return set(_buildah("images", "--format", "{{.Name}}:{{.Tag}}").split())


def _exists(name: str) -> bool:
    return name in _names()


def _remove_all_but(wanted: Iterable[str]) -> None:
    for name in _names() - set(wanted):
        _buildah("rmi", "--force", name)
    # What a build that was cut short left behind has no name.
    _buildah("rm", "--all")
    _buildah("rmi", "--prune")


@contextmanager
def _alone() -> Iterator[None]:
    STORAGE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
