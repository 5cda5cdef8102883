"""A Kubernetes control plane of one's own: etcd, API server, controller manager and scheduler, as plain processes."""

import contextlib
import json
import secrets
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster_access import ClusterAccess, private_file
from credentials import Authority, write_key, write_kubeconfig
from supervised import Supervised
from tools.build import binary

SERVICE_ADDRESSES = "10.96.0.0/16"
_FIRST_SERVICE_ADDRESS = "10.96.0.1"  # where Pods reach the API server


class ControlPlane(ClusterAccess):
    """Runs between `start` and `stop`, or as a context manager. Needs no privileges.

    `address` is what the API server listens on and is known by: loopback, or a bridge that Pods reach.
    `audit` writes who asked for what to `audit.log` in the folder, see `audited`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        audit: bool = False,
        api_server_flags: Sequence[str] = (),
    ) -> None:
        super().__init__(folder / "kubeconfig", folder)
        self._audit = audit
        self._flags = api_server_flags
        self._port, self._store_port, self._peer_port = free_ports(3)
        self._server_url = f"https://{address}:{self._port}"
        self._address = address
        self._running: dict[str, Supervised] = {}
        self._token = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """Address of the API server."""
        return self._server_url

    def __enter__(self) -> "ControlPlane":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until Pods can be created."""
        try:
            self._write_credentials()
            self._start_store()
            self.start_api_server()
            self._start_controllers()
            self.wait_for_default_account("default")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, clients first; nothing is left running."""
        for name in ("scheduler", "controller-manager", "api-server", "etcd"):
            if process := self._running.pop(name, None):
                process.stop()

    def ensure_api_server(self) -> None:
        """Start the API server if an earlier test left it stopped."""
        if "api-server" not in self._running:
            self.start_api_server()

    def stop_api_server(self) -> None:
        """Stop the API server; returns once its port is free again."""
        self._running.pop("api-server").stop()

    def start_api_server(self) -> None:
        """Start the API server on its port, with the data that is there, and wait until it is ready."""
        server = self._run("api-server", "kube-apiserver", *self._api_server_flags())
        server.until(self.is_ready, "ready")

    def is_ready(self) -> bool:
        """Whether the API server says so itself."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/readyz", headers={"Authorization": f"Bearer {self._token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig file that acts as that user; what it may do is for RBAC to say."""
        certificate, key = self.authority.issue(user, groups)
        return write_kubeconfig(
            self.folder / f"{certificate.stem}.kubeconfig",
            self.url,
            self.authority.certificate,
            {"client-certificate": str(certificate), "client-key": str(key)},
        )

    def audited(self) -> list[Mapping[str, Any]]:
        """Every request the API server has answered so far, as audit events (metadata level), oldest first."""
        log = self.folder / "audit.log"
        return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]

    def _run(self, name: str, program: str, *flags: str) -> Supervised:
        log = self.folder / f"{name}.log"
        self._running[name] = process = Supervised([binary(program), *flags], log)
        return process

    def _write_credentials(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(self.folder)
        self.authority.issue(
            "api-server",
            addresses=sorted({self._address, "127.0.0.1", _FIRST_SERVICE_ADDRESS}),
            names=["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
        )
        write_key(self.folder / "service-accounts.key")
        private_file(self.folder / "tokens.csv", f'{self._token},admin,admin,"system:masters"\n')
        write_kubeconfig(
            self.kubeconfig, self.url, self.authority.certificate, {"token": self._token}
        )
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        }
        (self.folder / "audit-policy.json").write_text(json.dumps(policy))

    def _start_store(self) -> None:
        client = f"http://127.0.0.1:{self._store_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        self._run(
            "etcd",
            "etcd",
            "--unsafe-no-fsync",  # the data is gone with the test anyway
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        )

    def _api_server_flags(self) -> list[str]:
        keys = self.folder / "service-accounts.key"
        flags = [
            f"--etcd-servers=http://127.0.0.1:{self._store_port}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={self.folder / 'api-server.crt'}",
            f"--tls-private-key-file={self.folder / 'api-server.key'}",
            f"--client-ca-file={self.authority.certificate}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={keys}",
            f"--service-account-signing-key-file={keys}",
            f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
            "--shutdown-delay-duration=0s",
            "--shutdown-watch-termination-grace-period=1s",
            "--profiling=false",
        ]
        if self._address.startswith("127."):
            flags.append("--endpoint-reconciler-type=none")  # Endpoints refuse loopback addresses
        if self._audit:
            flags += [
                f"--audit-log-path={self.folder / 'audit.log'}",
                f"--audit-policy-file={self.folder / 'audit-policy.json'}",
                "--audit-log-mode=blocking",
            ]
        return [*flags, *self._flags]

    def _start_controllers(self) -> None:
        shared = [
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]
        self._run(
            "controller-manager",
            "kube-controller-manager",
            *shared,
            f"--root-ca-file={self.authority.certificate}",
            f"--service-account-private-key-file={self.folder / 'service-accounts.key'}",
            "--pvclaimbinder-sync-period=1s",  # a claim it looked at too early waits that long
            # A machine busy with tests must not make nodes look dead.
            "--node-monitor-grace-period=10m",
        )
        self._run("scheduler", "kube-scheduler", *shared)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below those the kernel gives to clients: a server can come back to its port."""
    chosen: list[int] = []
    with contextlib.ExitStack() as held:
        while len(chosen) < count:
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                port = 16_000 + secrets.randbelow(16_000)
                probe.bind(("127.0.0.1", port))
                chosen.append(port)
    return chosen
