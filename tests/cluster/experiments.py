"""The experiments of a namespace, asked of the API server without the cost of a process for each request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_documents import MODEL
from kubernetes import client, config

from ticketsmith_operator.names import GROUP, PLURAL, VERSION

Document = dict[str, Any]


class Refused(Exception):
    """The API server's words."""


class Experiments:
    """The experiments of one namespace. Unknown fields are refused, as kubectl asks for by default."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))
        self._api = client.CustomObjectsApi(self._client)
        self._place = (GROUP, VERSION, namespace, PLURAL)

    def create(self, body: Document, *, dry_run: bool = False) -> Document:
        return self._ask(
            self._api.create_namespaced_custom_object, *self._place, body=body, dry_run=dry_run
        )

    def replace(self, body: Document, *, dry_run: bool = False) -> Document:
        name = body["metadata"]["name"]
        return self._ask(
            self._api.replace_namespaced_custom_object,
            *self._place,
            name,
            body=body,
            dry_run=dry_run,
        )

    def replace_status(self, body: Document) -> Document:
        name = body["metadata"]["name"]
        return self._ask(
            self._api.replace_namespaced_custom_object_status, *self._place, name, body=body
        )

    def __enter__(self) -> "Experiments":
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()

    @staticmethod
    def _ask(
        verb: Callable[..., Any], *place: str, body: Document, dry_run: bool = False
    ) -> Document:
        asked = {"dry_run": "All"} if dry_run else {}
        try:
            return dict(verb(*place, body=body, field_validation="Strict", **asked))
        except client.ApiException as error:
            raise Refused(json.loads(error.body)["message"]) from None


def document(name: str = "trial", **spec: Any) -> Document:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "PruningExperiment",
        "metadata": {"name": name},
        "spec": {"model": MODEL, **spec},
    }
