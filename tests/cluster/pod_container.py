"""From a Pod to the local process that stands for its container: environment, volumes and command, translated."""

import base64
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pod_api import Gone, PodApi

TERMINATION_LOG = "/dev/termination-log"
ANSWER_VARIABLE = "TICKETSMITH_ANSWER"
ENTRYPOINT = ("python", "-m", "ticketsmith.round")
"""What the runner image starts where a Pod names no command."""


class CannotStart(Exception):
    """Something the container needs is not there (yet); the message says what."""


@dataclass(frozen=True)
class Container:
    """What is started, in the machine's own paths."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    """Working directory."""
    termination_log: Path
    falls_back_to_log: bool
    """Whether a failed container's last output stands in for a missing termination message."""


class Resolver:
    """Reads what a Pod only refers to: values of Secrets and ConfigMaps, and its volumes' contents."""

    def __init__(self, api: PodApi, pod: Mapping[str, Any], folder: Path) -> None:
        self._api = api
        self._pod = pod
        self._folder = folder

    async def environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        """Environment as the Pod gives it, references followed; CannotStart if one leads nowhere."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            kind = "secretRef" if "secretRef" in source else "configMapRef"
            values = await self._values(kind, source[kind])
            found |= {source.get("prefix", "") + name: value for name, value in values.items()}
        for entry in container.get("env", ()):
            value = await self._value(entry)
            if value is not None:
                found[entry["name"]] = expand(value, found)
        return found

    async def mounts(
        self, container: Mapping[str, Any], claims: Mapping[str, Path]
    ) -> dict[str, Path]:
        """Local folder of each mount path; CannotStart if a volume cannot be had."""
        volumes = {one["name"]: one for one in self._pod["spec"].get("volumes", ())}
        return {
            mount["mountPath"].rstrip("/"): await self._volume(volumes[mount["name"]], claims)
            / mount.get("subPath", "")
            for mount in container.get("volumeMounts", ())
        }

    async def _value(self, entry: Mapping[str, Any]) -> str | None:
        source = entry.get("valueFrom")
        if source is None:
            return str(entry.get("value", ""))
        if "fieldRef" in source:
            return _field(self._pod, source["fieldRef"]["fieldPath"])
        for kind in ("secretKeyRef", "configMapKeyRef"):
            if reference := source.get(kind):
                values = await self._values(kind, reference)
                if reference["key"] in values or reference.get("optional"):
                    return values.get(reference["key"])
                raise CannotStart(f"couldn't find key {reference['key']} in {reference['name']}")
        raise CannotStart(f"environment variable {entry['name']}: {list(source)} is not known here")

    async def _values(self, kind: str, reference: Mapping[str, Any]) -> dict[str, str]:
        """Contents of a Secret or ConfigMap, as text."""
        plural = "secrets" if kind.startswith("secret") else "configmaps"
        namespace = self._pod["metadata"]["namespace"]
        try:
            path = f"/api/v1/namespaces/{namespace}/{plural}/{reference['name']}"
            data = (await self._api.ask("GET", path)).get("data", {})
        except Gone:
            if reference.get("optional"):
                return {}
            raise CannotStart(f'{plural[:-1]} "{reference["name"]}" not found') from None
        if plural == "configmaps":
            return dict(data)
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    async def _volume(self, volume: Mapping[str, Any], claims: Mapping[str, Path]) -> Path:
        match volume:
            case {"persistentVolumeClaim": {"claimName": claim}}:
                if claim not in claims:
                    raise CannotStart(f"the test gave this kubelet no folder for claim {claim}")
                return claims[claim]
            # The token every Pod is given unless it refuses stays empty: no round speaks to the API server.
            case {"emptyDir": _} | {"projected": _}:
                return self._scratch(volume["name"])
            case {"secret": {"secretName": name, **more}}:
                return await self._files(volume["name"], "secret", {"name": name, **more})
            case {"configMap": source}:
                return await self._files(volume["name"], "configMap", source)
        raise CannotStart(f"volume {volume['name']}: {sorted(volume)} is not known here")

    async def _files(self, name: str, kind: str, reference: Mapping[str, Any]) -> Path:
        folder = self._scratch(name)
        paths = {item["key"]: item["path"] for item in reference.get("items", ())}
        for key, value in (await self._values(kind, reference)).items():
            (folder / paths.get(key, key)).write_text(value)
        return folder

    def _scratch(self, name: str) -> Path:
        folder = self._folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


async def localize(
    resolver: Resolver,
    container: Mapping[str, Any],
    folder: Path,
    claims: Mapping[str, Path],
    image_environment: Mapping[str, str],
) -> Container:
    """The process for this container, with every path below a mount turned into the local one."""
    given = await resolver.environment(container)
    mounts = await resolver.mounts(container, claims)
    log = folder / "termination-log"
    log.touch()
    mounts[container.get("terminationMessagePath", TERMINATION_LOG)] = log
    work = folder / "work"
    work.mkdir(exist_ok=True)
    words = [*(container.get("command") or ENTRYPOINT), *container.get("args", ())]
    command = [translate(expand(word, given), mounts) for word in words]
    if command[0] in ("python", "python3"):
        command[0] = sys.executable
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work),
        ANSWER_VARIABLE: str(log),
        **image_environment,
        **{name: translate(value, mounts) for name, value in given.items()},
    }
    policy = container.get("terminationMessagePolicy")
    return Container(command, environment, work, log, policy == "FallbackToLogsOnError")


def translate(text: str, mounts: Mapping[str, Path]) -> str:
    """`text` with a mount path at its beginning (after --flag= or file://) replaced by the local folder."""
    for path in sorted(mounts, key=len, reverse=True):
        found = re.match(rf"((?:--[\w-]+=)?(?:file://)?){re.escape(path)}(?=/|$)", text)
        if found:
            return found[1] + str(mounts[path]) + text[found.end() :]
    return text


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`text` with each $(NAME) that is known replaced, as Kubernetes does; $$ stands for a plain $."""
    return re.sub(
        r"\$(?:\$|\(([\w.-]+)\))",
        lambda found: "$" if found[1] is None else environment.get(found[1], found[0]),
        text,
    )


def _field(pod: Mapping[str, Any], path: str) -> str:
    """The downward API's fields of metadata and spec."""
    labelled = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if labelled:
        return str(pod["metadata"].get(labelled[1], {}).get(labelled[2], ""))
    section, _, name = path.partition(".")
    if section not in ("metadata", "spec"):
        raise CannotStart(f"field {path} is not known here")
    return str(pod[section].get(name, ""))
