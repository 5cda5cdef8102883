"""A node that runs nothing: it serves the logs that a test writes for the Pods a test makes."""

import json
import ssl
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cluster_access import ClusterAccess
from credentials import Authority

from ticketsmith.experiment.labels import (
    ATTEMPT_LABEL,
    CONTAINER,
    EXPERIMENT_LABEL,
    ROUND_LABEL,
    UID_LABEL,
)

SECURED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass
class Log:
    """What one container printed: (RFC 3339 time, text) a line."""

    lines: list[tuple[str, str]]
    is_open: bool = False
    """Whether a follower has to wait for more."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, moment: str, text: str) -> None:
        with self.changed:
            self.lines.append((moment, text))
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.is_open = False
            self.changed.notify_all()


class LogNode:
    """A node, as far as `kubectl logs` can tell, within a `with` block."""

    def __init__(self, cluster: ClusterAccess, folder: Path) -> None:
        self.name = f"log-node-{uuid.uuid4().hex[:8]}"
        self.logs: dict[str, Log] = {}
        """By the Pod's name."""
        self._cluster = cluster
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*Authority(folder).issue(self.name, addresses=["127.0.0.1"]))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "LogNode":
        self._thread.start()
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}}
        self._cluster.kubectl("create", "-f", "-", input=json.dumps(node))
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_port}},
        }
        self._patch("node", self.name, status)
        return self

    def __exit__(self, *_: object) -> None:
        for log in self.logs.values():
            log.close()
        self._cluster.kubectl("delete", "node", self.name, "--wait=false")
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add_pod(
        self, experiment: Mapping[str, Any], round_name: str, attempt: int, log: Log, phase: str
    ) -> str:
        """A Pod of that attempt, bound to this node, in that phase; its name."""
        name = f"{round_name}-{attempt}-{uuid.uuid4().hex[:5]}"
        namespace = experiment["metadata"]["namespace"]
        labels = {
            EXPERIMENT_LABEL: experiment["metadata"]["name"],
            UID_LABEL: experiment["metadata"]["uid"],
            ROUND_LABEL: round_name,
            ATTEMPT_LABEL: str(attempt),
        }
        container = {"name": CONTAINER, "image": "none", "securityContext": SECURED}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                "nodeName": self.name,
                "containers": [container],
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
            },
        }
        self.logs[name] = log
        self._cluster.kubectl("create", "-f", "-", input=json.dumps(pod))
        self._patch("pod", name, {"phase": phase}, namespace)
        return name

    def _patch(self, kind: str, name: str, status: object, namespace: str = "default") -> None:
        self._cluster.kubectl(
            "patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge", "-p",
            json.dumps({"status": status}),
        )  # fmt: skip

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        logs = self.logs

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """/containerLogs/NAMESPACE/POD/CONTAINER, as a kubelet answers it."""
                url = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                log = logs[url.path.split("/")[3]]
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                sent = 0
                while True:
                    with log.changed:
                        if asked.get("follow") == "true":
                            log.changed.wait_for(
                                lambda sent=sent: len(log.lines) > sent or not log.is_open
                            )
                        fresh, is_open = log.lines[sent:], log.is_open
                    for moment, text in fresh:
                        if moment >= asked.get("sinceTime", ""):
                            stamp = f"{moment} " if asked.get("timestamps") == "true" else ""
                            self._chunk(f"{stamp}{text}\n".encode())
                    sent += len(fresh)
                    if asked.get("follow") != "true" or not (is_open or log.lines[sent:]):
                        break
                self._chunk(b"")

            def _chunk(self, data: bytes) -> None:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler
