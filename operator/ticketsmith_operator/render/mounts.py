"""What is mounted into a round's container, from where, and whether it gets in each other's way."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ticketsmith.experiment.placement import VolumeSpec
from ticketsmith.experiment.spec import ExperimentSpec

SCRATCH: Final = "/scratch"
"""The one place in the container, besides its mounts, that can be written to."""
_SYSTEM: Final = ("/dev", "/proc", "/sys")
_OWNER_AND_GROUP_READ: Final = 0o440


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume and where it is mounted."""

    field: str
    """Where the spec asks for it, for sentences about it."""
    name: str
    path: str
    """Absolute, in its shortest spelling."""
    source: dict[str, Any]
    """The volume's source in Kubernetes' words."""
    read_only: bool = False

    @property
    def claim(self) -> str | None:
        """The claim it comes from, if it does."""
        name: str | None = self.source.get("persistentVolumeClaim", {}).get("claimName")
        return name

    def volume(self) -> dict[str, Any]:
        """The entry of the Pod's volumes."""
        return {"name": self.name, **self.source}

    def volume_mount(self) -> dict[str, Any]:
        """The entry of the container's volumeMounts."""
        mount: dict[str, Any] = {"name": self.name, "mountPath": self.path}
        return {**mount, "readOnly": True} if self.read_only else mount


def artifacts_path(uri: str) -> str:
    """The folder a file:/// address names, as the round's store reads it."""
    return _shortest(unquote(urlsplit(uri).path))


def mounts(spec: ExperimentSpec) -> tuple[Mount, ...]:
    """Scratch, the claim of the artifacts, then the user's volumes."""
    return (*_own(spec), *(_users(i, v) for i, v in enumerate(spec.runner.volumes)))


def clashes(spec: ExperimentSpec) -> Iterator[str]:
    """One sentence for each mount that another, or the container itself, leaves no room for."""
    seen: list[Mount] = []
    for mount in mounts(spec):
        if mount.path == "/" or any(_within(mount.path, system) for system in _SYSTEM):
            yield f"{mount.field} is mounted at {mount.path}, which is the container's own: choose another path"
        for other in seen:
            if _within(mount.path, other.path) or _within(other.path, mount.path):
                yield (
                    f"{mount.field} is mounted at {mount.path}, which overlaps {other.path} of {other.field}:"
                    " choose another path"
                )
            if mount.name == other.name:
                yield f"{mount.field} has the name {mount.name} of {other.field}: choose another name"
            if mount.claim is not None and mount.claim == other.claim:
                yield (
                    f"{mount.field} mounts the claim {mount.claim} again, which {other.field} mounts at"
                    f" {other.path}: use it there"
                )
        seen.append(mount)


def _own(spec: ExperimentSpec) -> Iterator[Mount]:
    size = spec.runner.scratch_size
    empty = {"emptyDir": {"sizeLimit": size} if size else {}}
    yield Mount("the scratch volume", "scratch", SCRATCH, empty)
    kept = spec.artifacts
    if kept is not None and kept.persistent_volume_claim:
        claim = {"persistentVolumeClaim": {"claimName": kept.persistent_volume_claim}}
        yield Mount("spec.artifacts", "artifacts", artifacts_path(kept.uri), claim)


def _users(number: int, volume: VolumeSpec) -> Mount:
    field = f"spec.runner.volumes[{number}]"
    path = _shortest(volume.mount_path)
    return Mount(field, volume.name, path, _source(volume), volume.read_only)


def _source(volume: VolumeSpec) -> dict[str, Any]:
    if volume.secret is not None:
        # The group is the Pod's fsGroup; nobody else in the container has to read a key.
        return {"secret": {"secretName": volume.secret, "defaultMode": _OWNER_AND_GROUP_READ}}
    if volume.config_map is not None:
        return {"configMap": {"name": volume.config_map}}
    claim: dict[str, Any] = {"claimName": volume.persistent_volume_claim}
    # A disk that many nodes read at once is only attached where the volume, not just its mount, is read-only.
    return {"persistentVolumeClaim": {**claim, "readOnly": True} if volume.read_only else claim}


def _shortest(path: str) -> str:
    """The path in its shortest spelling; POSIX, and so normpath, would keep two slashes at its head."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
