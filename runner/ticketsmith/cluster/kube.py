"""The few things asked of an API server. Every answer is a plain document, every failure a ClusterProblem."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ticketsmith.cluster.connect import Connection
from ticketsmith.cluster.problems import Asked, ClusterProblem, problem
from ticketsmith.experiment.labels import CONTAINER, GROUP, PLURAL, VERSION

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

Body = dict[str, Any]
"""An object as the API server sends it."""

MANAGER = "ticketsmith-cli"
"""Field manager of what is handed in from the command line."""
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""How long an answer, or the next line of a stream, may take. A watch is ended by the server before that."""
_WATCH_SECONDS = 50
_PAGE = 500


class Kube:
    """One namespace of one cluster. Threads may share it."""

    def __init__(self, connection: Connection) -> None:
        import urllib3
        from kubernetes.client import ApiClient

        configuration = connection.configuration
        configuration.retries = 0  # whoever asks decides whether to ask again
        if not configuration.verify_ssl:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for
        self._client = ApiClient(configuration=configuration)
        self.server = str(configuration.host)
        self.namespace = connection.namespace
        self.context = connection.context

    # --- experiments -----------------------------------------------------------------------------
    def experiment(self, name: str) -> Body:
        """The experiment now; NotThere if there is none."""
        return self._document(self._asked("get", name), "GET", _experiments(self.namespace, name))

    def experiment_names(self) -> list[str]:
        """Names of the namespace's experiments, at most a page of them."""
        path, query = _experiments(self.namespace), {"limit": str(_PAGE)}
        found = self._document(self._asked("list"), "GET", path, query)
        return [item["metadata"]["name"] for item in found["items"]]

    def experiments(self, *, everywhere: bool = False) -> Iterator[Body]:
        """The namespace's experiments, or those of every namespace, page by page."""
        namespace = None if everywhere else self.namespace
        asked = Asked(self.server, "list", PLURAL, namespace)
        query = {"limit": str(_PAGE)}
        while True:
            page = self._document(asked, "GET", _experiments(namespace), query)
            yield from page["items"]
            rest = page["metadata"].get("continue")
            if not rest:
                return
            query = {"limit": str(_PAGE), "continue": rest}

    def apply(self, body: Body, *, dry_run: bool = False) -> Body:
        """Server-side apply: own the fields in `body`, leave the others. Refused says what is wrong with it."""
        name = body["metadata"]["name"]
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = _experiments(self.namespace, name)
        return self._document(self._asked("patch", name), "PATCH", path, query, body)

    def watch(self, body: Body) -> Iterator[tuple[str, Body]]:
        """(ADDED, MODIFIED or DELETED, the object) for each change since `body` was read, until the server ends
        the watch, as it does every minute. ClusterProblem with code 410 if too much has happened since."""
        metadata = body["metadata"]
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={metadata['name']}",
            "resourceVersion": metadata["resourceVersion"],
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        asked = self._asked("watch", metadata["name"])
        for line in self._lines(asked, _experiments(self.namespace), query):
            try:
                event = json.loads(line)
            except ValueError as error:  # the stream broke off within a line
                raise _silence(asked, error) from error
            if event["type"] == "ERROR":
                raise problem(
                    asked, int(event["object"].get("code", 500)), json.dumps(event["object"])
                )
            yield event["type"], event["object"]

    # --- Pods ------------------------------------------------------------------------------------
    def pods(self, labels: Mapping[str, str]) -> list[Body]:
        """Pods that carry these labels, oldest first."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        asked = Asked(self.server, "list", "pods", self.namespace)
        path = f"/api/v1/namespaces/{quote(self.namespace, safe='')}/pods"
        found = self._document(asked, "GET", path, {"labelSelector": selector})
        return sorted(found["items"], key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def log(self, pod: str, *, follow: bool, since: str | None = None) -> Iterator[tuple[str, str]]:
        """(RFC 3339 time, text) of each line the round's container wrote, from the second of `since` on."""
        query = {"container": CONTAINER, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if since is not None:
            query["sinceTime"] = since
        asked = Asked(self.server, "get", "pods/log", self.namespace, pod)
        namespace, name = quote(self.namespace, safe=""), quote(pod, safe="")
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        for line in self._lines(asked, path, query, patient=follow):
            moment, _, text = line.decode("utf-8", "replace").partition(" ")
            yield moment, text

    # --- the wire --------------------------------------------------------------------------------
    def _asked(self, verb: str, name: str | None = None) -> Asked:
        return Asked(self.server, verb, PLURAL, self.namespace, name)

    def _document(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Body:
        from urllib3.exceptions import HTTPError

        response = self._send(asked, method, path, query or {}, body, ANSWER_SECONDS)
        try:
            return dict(json.loads(response.read()))
        except (HTTPError, OSError, ValueError) as error:
            raise _silence(asked, error) from error
        finally:
            response.release_conn()

    def _lines(
        self, asked: Asked, path: str, query: Mapping[str, str], *, patient: bool = False
    ) -> Iterator[bytes]:
        """Lines of an answer as they arrive; a `patient` reader waits for the next one as long as it takes."""
        from urllib3.exceptions import HTTPError

        response = self._send(asked, "GET", path, query, None, None if patient else ANSWER_SECONDS)
        rest = b""
        try:
            for chunk in response.stream(decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            if rest:
                yield rest
        except (HTTPError, OSError) as error:
            raise _silence(asked, error) from error
        finally:
            response.close()

    def _send(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        seconds: float | None,
    ) -> "BaseHTTPResponse":
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._client.call_api(*request, _request_timeout=(CONNECT_SECONDS, seconds))
            response: BaseHTTPResponse = answer.response
            if response.status >= 400:
                text = response.read().decode("utf-8", "replace")
                response.release_conn()
                raise problem(asked, response.status, text)
        except (HTTPError, OSError, ApiException) as error:
            raise _silence(asked, error) from error
        return response


def _experiments(namespace: str | None, name: str | None = None) -> str:
    """Path of a namespace's experiments, or of one of them; None is every namespace."""
    if namespace is None:
        return f"/apis/{GROUP}/{VERSION}/{PLURAL}"
    collection = f"/apis/{GROUP}/{VERSION}/namespaces/{quote(namespace, safe='')}/{PLURAL}"
    return f"{collection}/{quote(name, safe='')}" if name else collection


def _silence(asked: Asked, error: Exception) -> ClusterProblem:
    """No answer came, or not a whole one."""
    words = str(error)
    if "certificate" in words.lower():
        return ClusterProblem(
            f"{asked.server} shows a certificate that the kubeconfig does not trust: fetch the cluster's "
            "kubeconfig again"
        )
    causes = {
        "refused": "the connection is refused",
        "timed out": "it does not answer in time",
        "resolve": "its name is unknown",
        "unreachable": "there is no way to it",
    }
    reason = next(
        (said for sign, said in causes.items() if sign in words.lower()), "no whole answer came"
    )
    return ClusterProblem(
        f"the cluster at {asked.server} cannot be reached, {reason}: see that it is up, that this machine may "
        "reach it, and that --context and --kubeconfig name the right one"
    )
