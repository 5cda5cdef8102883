"""Which cluster is meant: kubectl's files, flags and environment variables mean here what they mean to kubectl."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketsmith.cluster.problems import ClusterProblem
from ticketsmith.experiment.problems import BadSpec

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class NoCluster(ClusterProblem):
    """Nothing says which cluster is meant."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says; None leaves it to the kubeconfig."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the cluster, and which part of it is meant."""

    configuration: "Configuration"
    """Holds secrets: never printed."""
    namespace: str
    context: str | None
    """Name in the kubeconfig; None inside a Pod."""


def connect(wanted: Wanted) -> Connection:
    """Find the cluster; nothing is sent to it yet.

    Raises:
        NoCluster: there is no kubeconfig, or it names no cluster, or its login command fails.
        BadSpec: the file or context on the command line does not exist.
        ClusterProblem: the Kubernetes client is not installed.
    """
    try:
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_incluster_config
        from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger
        from yaml import YAMLError
    except ImportError as error:
        raise ClusterProblem(
            "clusters need the Kubernetes client, which is not installed: pip install 'ticketsmith[cluster]'"
        ) from error
    files = _files(wanted)
    configuration: Configuration = Configuration()
    if not any(file.exists() for file in files):
        if wanted.kubeconfig is not None:
            raise BadSpec(f"--kubeconfig is {wanted.kubeconfig}: there is no such file")
        if wanted.context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            load_incluster_config(client_configuration=configuration)
            own = _OWN_NAMESPACE.read_text() if _OWN_NAMESPACE.exists() else "default"
            return Connection(configuration, wanted.namespace or own.strip(), None)
        raise NoCluster(
            f"no cluster is configured ({os.pathsep.join(map(str, files))} is not there): name a kubeconfig with "
            "--kubeconfig FILE or $KUBECONFIG"
        )
    try:
        merged = KubeConfigMerger(os.pathsep.join(map(str, files)))
        context = wanted.context or _current(merged.config_files)
        chosen = _context(merged.config.value["contexts"], context)
        with _complaints() as complaints:
            loader = KubeConfigLoader(
                config_dict=merged.config, active_context=context, config_base_path=None
            )
            loader.load_and_set(configuration)
    except (ConfigException, YAMLError, OSError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NoCluster(
            f"the kubeconfig {os.pathsep.join(map(str, files))} cannot be used ({reason}): correct it, or name "
            "another with --kubeconfig"
        ) from error
    if complaints:
        raise NoCluster(
            f"the login command of context {context} failed ({complaints[0]}): log in to the cluster again"
        )
    return Connection(
        configuration, wanted.namespace or chosen.get("namespace") or "default", context
    )


def _files(wanted: Wanted) -> list[Path]:
    if wanted.kubeconfig is not None:
        return [wanted.kubeconfig]
    named = os.environ.get("KUBECONFIG")
    parts = named.split(os.pathsep) if named else ["~/.kube/config"]
    return [Path(part).expanduser() for part in parts if part]


def _current(files: dict[str, Any]) -> str | None:
    """As for kubectl, the first file that names one decides; the client's own merge takes the last."""
    named = (content.get("current-context") for content in files.values())
    return next((name for name in named if name), None)


def _context(contexts: list[Any], name: str | None) -> dict[str, Any]:
    known = {str(one.value["name"]): one.value["context"] for one in contexts}
    if name is None:
        raise NoCluster(
            f"the kubeconfig chooses no context: name one with --context ({', '.join(known) or 'it has none'})"
        )
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known) or 'none'}"
        raise BadSpec(f"--context is {name}, which the kubeconfig does not have: {hint}")
    return dict(known[name] or {})


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """First lines of what is logged as an error inside: the client says so, and no more, that a login failed."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage().splitlines()[0])

    collector = Collector(level=logging.ERROR)
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        yield found
    finally:
        root.removeHandler(collector)
