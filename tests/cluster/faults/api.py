"""The API server without kubectl: tests look often, and starting a process for each look would slow what they watch."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from kubernetes.client import Configuration
from kubernetes.config import load_kube_config

EXPERIMENTS = "/apis/ticketsmith.dev/v1alpha1/{}pruningexperiments"
JOBS = "/apis/batch/v1/{}jobs"
PODS = "/api/v1/{}pods"
ACCOUNTS = "/api/v1/{}serviceaccounts"
NAMESPACES = "/api/v1/{}namespaces"
MERGE = "application/merge-patch+json"


class Api:
    """Administrator's access; may be used from any thread."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = Configuration()
        load_kube_config(str(kubeconfig), client_configuration=configuration)
        token = configuration.get_api_key_with_prefix("BearerToken")
        self._address = urlsplit(configuration.host).netloc
        self._headers = {"Authorization": token} if token else {}
        self._trust = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            self._trust.load_cert_chain(configuration.cert_file, configuration.key_file)
        self._kept = threading.local()

    def ask(
        self, method: str, path: str, body: Any = None, form: str = "application/json", **query: str
    ) -> tuple[int, Any]:
        """Status and document of the answer; OSError while nothing answers."""
        target = path + (f"?{urlencode(query)}" if query else "")
        text = None if body is None else json.dumps(body)
        if method == "GET":
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self._ask(method, target, text, form)
        # A kept connection may have died of idleness, which is no reason to write twice.
        self._kept.connection = None
        return self._ask(method, target, text, form)

    def list(self, kind: str, namespace: str | None = None, **query: str) -> list[Any]:
        """The objects of a kind, in a namespace or in all. The API server asks to wait while it takes up a CRD."""
        deadline = time.monotonic() + 60
        status, document = self.ask("GET", where(kind, namespace), **query)
        while status == http.HTTPStatus.TOO_MANY_REQUESTS and time.monotonic() < deadline:
            time.sleep(float(document.get("details", {}).get("retryAfterSeconds", 1)))
            status, document = self.ask("GET", where(kind, namespace), **query)
        assert status == 200, document
        return list(document["items"])

    def must(self, method: str, path: str, body: Any = None, **more: str) -> Any:
        """The document of an answer that is no refusal."""
        status, document = self.ask(method, path, body, **more)
        assert status < 300, f"{method} {path}: {status}: {document}"
        return document

    def _ask(self, method: str, target: str, text: str | None, form: str) -> tuple[int, Any]:
        connection = getattr(self._kept, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(self._address, context=self._trust, timeout=60)
            self._kept.connection = connection
        connection.request(method, target, text, {**self._headers, "Content-Type": form})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def where(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """Path of one object, or of a collection."""
    path = kind.format(f"namespaces/{namespace}/" if namespace else "")
    return f"{path}/{name}" if name else path
