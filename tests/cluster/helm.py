"""Helm as a person uses it on a test cluster; it neither reads nor keeps a set-up of the machine."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess
from tools.build import HELM, KUBERNETES, binary

CHARTS = Path(__file__).parents[2] / "charts"
TIMEOUT = "180s"


class Helm:
    """helm with that cluster's administrator's rights."""

    def __init__(self, cluster: ClusterAccess) -> None:
        self._program = binary("helm", HELM)
        folder = cluster.folder / "helm"
        homes = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        self._environment = os.environ | homes | {"KUBECONFIG": str(cluster.kubeconfig)}

    def __call__(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run helm; `values` become its values file. With `check`, a failure fails the test with what helm said."""
        given = () if values is None else ("--values", "-")
        done = subprocess.run(
            [self._program, *arguments, *given],
            input=None if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=self._environment,
        )
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            pytest.fail(f"helm {' '.join(map(str, arguments))}: exit {done.returncode}: {said}")
        return done

    def template(self, release: str, chart: Path, *options: str) -> str:
        """What a chart renders to, on a cluster of the version that the tests build."""
        return self(
            "template", release, chart, "--kube-version", KUBERNETES.version, *options
        ).stdout

    def install(
        self, release: str, chart: Path, namespace: str, values: Mapping[str, Any] | None = None
    ) -> None:
        """Install a chart into that namespace, made if need be, and wait until all of it is ready."""
        place = ("--namespace", namespace, "--create-namespace")
        self("install", release, chart, *place, "--wait", "--timeout", TIMEOUT, values=values or {})

    def upgrade(
        self, release: str, chart: Path, namespace: str, values: Mapping[str, Any] | None = None
    ) -> None:
        """Upgrade a release to a chart and values, and wait until all of it is ready."""
        waits = ("--wait", "--timeout", TIMEOUT)
        self("upgrade", release, chart, "--namespace", namespace, *waits, values=values or {})
