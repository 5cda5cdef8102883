"""Each fault of the proxy shows, against the real API server."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import yaml
from cluster_access import ClusterAccess, Kubectl, eventually
from fault_proxy import FaultProxy
from faults.injections import (
    Flaky,
    Freeze,
    MissedEvents,
    Refusals,
    Slow,
    StaleReads,
    WatchRefusals,
)

pytestmark = pytest.mark.cluster


class Client:
    """Speaks through the proxy as an operator would."""

    def __init__(self, proxy: FaultProxy, namespace: str) -> None:
        config = yaml.safe_load(proxy.kubeconfig.read_text())
        self.address = urlsplit(config["clusters"][0]["cluster"]["server"]).netloc
        self.collection = f"/api/v1/namespaces/{namespace}/configmaps"

    def ask(self, method: str, name: str = "", body: Any = None, **query: str) -> tuple[int, Any]:
        response = self.open(method, name, body, **query)
        return response.status, json.loads(response.read())

    def open(
        self, method: str, name: str = "", body: Any = None, **query: str
    ) -> http.client.HTTPResponse:
        form = "application/merge-patch+json" if method == "PATCH" else "application/json"
        connection = http.client.HTTPConnection(self.address, timeout=60)
        path = self.collection + (f"/{name}" if name else "")
        connection.request(
            method,
            path + (f"?{urlencode(query)}" if query else ""),
            None if body is None else json.dumps(body),
            {"Content-Type": form, "Accept": "application/json"},
        )
        return connection.getresponse()

    def make(self, name: str, value: str = "1") -> int:
        return self.ask("POST", body={"metadata": {"name": name}, "data": {"v": value}})[0]

    def make_or_hang_up(self, name: str) -> None:
        """The same, where the proxy may go before it answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.make(name)

    def change(self, name: str, value: str) -> int:
        return self.ask("PATCH", name, {"data": {"v": value}})[0]


@pytest.fixture
def proxy(control_plane: ClusterAccess, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture
def client(proxy: FaultProxy, namespace: str) -> Client:
    return Client(proxy, namespace)


def test_it_passes_calls_on_and_counts_them_by_namespace(
    proxy: FaultProxy, client: Client, namespace: str, kubectl: Kubectl
) -> None:
    assert client.make("one") == 201
    assert client.change("one", "2") == 200
    assert client.ask("GET", "one")[1]["data"] == {"v": "2"}
    assert client.ask("GET", "two")[0] == 404
    assert [str(c) for c in proxy.writes(namespace)] == [
        "create configmaps",
        "patch configmaps one",
    ]
    assert [(c.verb, c.number) for c in proxy.reads(namespace)] == [("get", 1), ("get", 2)]
    assert kubectl("get", "configmap", "one", "-o", "jsonpath={.data.v}").stdout == "2"


def test_a_frozen_write_is_not_done_before_and_done_after(
    proxy: FaultProxy, client: Client, namespace: str, kubectl: Kubectl
) -> None:
    for when, expected in (("before", 1), ("after", 0)):
        freeze = Freeze(len(proxy.writes(namespace)) + 1, when)  # type: ignore[arg-type]
        proxy.faults[namespace] = freeze
        caller = threading.Thread(target=client.make_or_hang_up, args=(when,), daemon=True)
        caller.start()
        eventually(lambda freeze=freeze: freeze.reached, "the write that freezes")
        found = kubectl("get", "configmap", when, check=False).returncode
        assert found == expected
        assert caller.is_alive()
        proxy.faults.clear()


def test_a_stale_read_shows_the_past(proxy: FaultProxy, client: Client, namespace: str) -> None:
    for value in ("1", "2", "3"):
        client.make("one", value)
        client.change("one", value)
    client.make("two")
    proxy.faults[namespace] = StaleReads(back=1, applies=lambda call: True)
    assert client.ask("GET", "one")[1]["data"] == {"v": "3"}
    assert client.ask("GET", "two")[0] == 404
    names = [one["metadata"]["name"] for one in client.ask("GET")[1]["items"]]
    assert "one" in names
    assert "two" not in names
    proxy.faults[namespace] = StaleReads(back=2, applies=lambda call: call.verb == "get")
    status, old = client.ask("GET", "one")
    assert (status, old["kind"], old["data"]) == (200, "ConfigMap", {"v": "2"})


def test_refusals_come_with_or_without_the_write_being_done(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    proxy.faults[namespace] = Refusals(429, {2}, retry_after=7)
    assert client.make("one") == 201
    refused = client.open("POST", body={"metadata": {"name": "two"}})
    assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
    proxy.faults[namespace] = Refusals(500, {3}, done=True)
    assert client.make("three") == 500
    names = [one["metadata"]["name"] for one in client.ask("GET")[1]["items"]]
    assert "two" not in names
    assert "three" in names


def test_some_calls_of_a_flaky_server_fail_and_the_same_ones_for_the_same_dice(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    told = []
    for _ in range(2):
        proxy.faults[namespace] = Flaky(0.5, (500, 429), Random(1))
        told.append([client.ask("GET")[0] for _ in range(12)])
    assert told[0] == told[1]
    assert set(told[0]) == {200, 429, 500}


def test_a_missed_event_never_arrives_and_the_others_do(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    missed = MissedEvents(lambda number, event: event["object"]["metadata"]["name"] == "two")
    proxy.faults[namespace] = missed
    watch = client.open("GET", watch="true", resourceVersion=_version(client))
    for name in ("one", "two", "three"):
        client.make(name)
    seen = [json.loads(watch.readline())["object"]["metadata"]["name"] for _ in range(2)]
    assert seen == ["one", "three"]
    assert missed.dropped == ["ADDED configmaps two"]


def test_a_broken_watch_ends_and_the_next_one_is_told_to_list_again(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    version = _version(client)
    watch = client.open("GET", watch="true", resourceVersion=version)
    client.make("one")
    assert json.loads(watch.readline())["type"] == "ADDED"
    assert proxy.break_watches("configmaps") == 1
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        watch.read()
    proxy.faults[namespace] = WatchRefusals(times=1)
    event = json.loads(client.open("GET", watch="true", resourceVersion=version).readline())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    again = client.open("GET", watch="true", resourceVersion=version)
    assert json.loads(again.readline())["type"] == "ADDED"


def test_refused_connections_are_accepted_again_on_the_same_port(
    proxy: FaultProxy, client: Client
) -> None:
    assert client.ask("GET")[0] == 200
    proxy.refuse()
    with pytest.raises(OSError, match=r"refused|reset"):
        client.ask("GET")
    proxy.accept()
    assert client.ask("GET")[0] == 200


def test_a_slow_call_is_answered_all_the_same(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    proxy.faults[None] = Slow(0.2)
    assert client.make("one") == 201


def _version(client: Client) -> str:
    return str(client.ask("GET")[1]["metadata"]["resourceVersion"])
