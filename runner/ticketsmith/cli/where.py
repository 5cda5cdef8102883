"""Whether a name means a run directory here or an experiment on a cluster, and how to reach that cluster."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketsmith.cluster.connect import NoCluster, Wanted, connect
from ticketsmith.cluster.kube import Kube
from ticketsmith.cluster.problems import NotThere
from ticketsmith.experiment.problems import BadSpec

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def is_local(name: str, said: bool | None) -> bool:
    """What the command line says; else a folder that exists, and whatever could not name an experiment."""
    if said is not None:
        return said
    return Path(name).is_dir() or not could_name(name)


def could_name(name: str) -> bool:
    """Whether a cluster would take it for the name of an experiment or of a namespace."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def nor_a_folder(name: str, said: bool | None) -> Iterator[None]:
    """Where nobody said which of both was meant, say of a name that is neither that it is neither."""
    try:
        yield
    except (NoCluster, NotThere) as problem:
        if said is not None:
            raise
        raise BadSpec(f"{name} is not a run directory, and {problem}") from problem


def reach(wanted: Wanted) -> Kube:
    """The namespace that is meant, ready to be asked."""
    return Kube(connect(wanted))


def flags(kube: Kube, wanted: Wanted) -> str:
    """What a further command needs to mean the same experiments, e.g. ` -n mine --context lab`."""
    words = ["-n", kube.namespace]
    words += ["--context", wanted.context] if wanted.context else []
    words += ["--kubeconfig", str(wanted.kubeconfig)] if wanted.kubeconfig else []
    return f" {shlex.join(words)}"
