"""What a test does with a cluster, whichever it is."""

import functools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import new_client_from_config
from tools.build import NotBuilt, binary

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
}
"""Labels of a namespace that takes only Pods of the restricted Pod Security Standard."""


class ClusterAccess:
    """A cluster reached through a kubeconfig file with an administrator's rights."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self.folder = folder
        """Where files about this cluster may lie."""

    @property
    def url(self) -> str:
        """Address of the API server."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        current = next(c for c in config["contexts"] if c["name"] == config["current-context"])
        clusters = {one["name"]: one["cluster"] for one in config["clusters"]}
        return str(clusters[current["context"]["cluster"]]["server"])

    def kubectl(
        self,
        *args: str | Path,
        input: str | None = None,  # noqa: A002
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl. With `check`, a failure fails the test with what kubectl said."""
        done = subprocess.run(
            [kubectl_program(), *args],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=os.environ
            | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "kubectl")},
        )
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            pytest.fail(f"kubectl {' '.join(map(str, args))}: exit {done.returncode}: {said}")
        return done

    @functools.cached_property
    def _client(self) -> ApiClient:
        client: ApiClient = new_client_from_config(str(self.kubeconfig))
        return client

    def get(self, *args: str) -> dict[str, Any]:
        """`kubectl get ... -o json` as a document."""
        return dict(json.loads(self.kubectl("get", *args, "-o", "json").stdout))

    def read(self, path: str, **query: str) -> dict[str, Any]:
        """The document at a path of the API. Waiting tests ask this way: kubectl costs a tenth of a second of CPU.
        ApiException if there is none."""
        request = self._client.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(*request)
        content = answer.read()
        if answer.status >= 400:
            raise ApiException(status=answer.status, reason=content.decode(errors="replace"))
        return dict(json.loads(content))

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig file that acts as that service account."""
        token = self.kubectl("create", "token", name, "-n", namespace, "--duration=2h").stdout
        config = yaml.safe_load(self.kubeconfig.read_text())
        for context in config["contexts"]:
            context["context"]["user"] = name
        config["users"] = [{"name": name, "user": {"token": token.strip()}}]
        return private_file(self.folder / f"{namespace}.{name}.kubeconfig", yaml.safe_dump(config))

    def make_namespace(self, name: str, labels: dict[str, str] | None = None) -> None:
        """Make a namespace and wait until Pods can be created in it."""
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": RESTRICTED if labels is None else labels},
        }
        self.kubectl("create", "-f", "-", input=json.dumps(body))
        self.wait_for_default_account(name)

    def wait_for_default_account(self, namespace: str) -> None:
        """Pods are refused until the controller manager made their service account."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        eventually(lambda: bool(self.read(accounts)["items"]), f"a service account in {namespace}")

    def make_claim(self, namespace: str, name: str, folder: Path = Path("/nowhere")) -> None:
        """A persistent volume claim that is bound, so that Pods with it are scheduled. It holds that folder of the
        node, unless the node has its own mind: a ProcessKubelet is given a folder for it."""
        shared = {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": f"{namespace}-{name}",
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {**shared, "resources": {"requests": {"storage": "1Gi"}}},
        }
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": shared.pop("volumeName")},
            "spec": {
                **shared,
                "capacity": {"storage": "1Gi"},
                "claimRef": {"namespace": namespace, "name": name},
                "hostPath": {"path": str(folder)},
            },
        }
        both = {"apiVersion": "v1", "kind": "List", "items": [volume, claim]}
        self.kubectl("create", "-f", "-", input=json.dumps(both))
        bound = "--for=jsonpath={.status.phase}=Bound"
        self.kubectl("wait", "pvc", name, "-n", namespace, bound, "--timeout=60s")

    def install_crds(self, folder: Path) -> None:
        """Install every CRD of a folder and wait until the API server serves them."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", folder)
        # Of a CRD so new that it has no conditions yet, kubectl wait says that it is broken.
        served = ("wait", "--for=condition=Established", "--timeout=60s", "-f", folder)
        eventually(lambda: self.kubectl(*served, check=False).returncode == 0, "our CRDs")

    def ensure_api_server(self) -> None:
        """Start the API server if an earlier test left it stopped."""

    def stop_api_server(self) -> None:
        """Stop the API server."""
        pytest.skip("the cluster given by --kubeconfig is not ours to stop")

    def start_api_server(self) -> None:
        """Start the API server and wait until it is ready."""
        pytest.skip("the cluster given by --kubeconfig is not ours to start")

    def restart_api_server(self) -> None:
        """Stop the API server, and start it on the same port with the same data."""
        self.stop_api_server()
        self.start_api_server()


def eventually(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait until `condition` holds; fail the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


def private_file(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def kubectl_program() -> str:
    """kubectl as built for the tests, else the machine's."""
    try:
        return str(binary("kubectl"))
    except NotBuilt:
        if machine := shutil.which("kubectl"):
            return machine
        raise
