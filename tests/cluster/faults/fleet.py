"""Equal experiments side by side, one in each of many namespaces, so that each can be troubled at its own point."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from cluster_access import RESTRICTED, ClusterAccess, eventually
from faults.api import ACCOUNTS, EXPERIMENTS, JOBS, MERGE, NAMESPACES, Api, where
from faults.node import Node
from faults.story import broken_rules, essence, is_live
from pod_history import Ran

from ticketsmith_operator.names import ATTEMPT_LABEL, EXPERIMENT_LABEL, ROUND_LABEL

PATIENCE_SECONDS = 400.0
SPEC: Mapping[str, Any] = {
    "model": {"name": "lenet300"},
    "sparsities": {"targets": [0.5, 0.8]},
    "controls": ["reinit"],
    "seeds": [0],
    "benchmark": None,
    "limits": {"parallelism": 2, "retries": 2},
    "artifacts": {"uri": "gs://nowhere/tests"},
}
"""Six rounds: dense, two tickets with a control each, and the report."""
SHORT: Mapping[str, Any] = {"sparsities": {"targets": [0.5]}, "controls": []}
"""Three rounds: dense, ticket, report."""


class Fleet:
    """`size` namespaces with an experiment each, all of one name; nothing is applied before `apply`."""

    def __init__(self, cluster: ClusterAccess, node: Node, size: int, **spec: Any) -> None:
        self.api = Api(cluster.kubeconfig)
        self.node = node
        self.spec = {**SPEC, **spec}
        self.name = f"trial-{uuid.uuid4().hex[:8]}"
        self.namespaces = [f"{self.name}-{number}" for number in range(size)]
        self.changes: dict[str, Mapping[str, Any]] = {}
        """By namespace, what its spec has instead."""

    def make_namespaces(self) -> None:
        """Make them all, restricted, and wait until Pods can be created in each."""
        for name in self.namespaces:
            metadata = {"name": name, "labels": RESTRICTED | {"fleet": self.name}}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            self.api.must("POST", where(NAMESPACES), body)

        def have_accounts() -> bool:
            accounts = self.api.list(ACCOUNTS, fieldSelector="metadata.name=default")
            return set(self.namespaces) <= {one["metadata"]["namespace"] for one in accounts}

        eventually(have_accounts, "service accounts in the namespaces")

    def apply(self, *namespaces: str) -> None:
        """Create the experiment in these namespaces, in all if none is named."""
        for one in namespaces or self.namespaces:
            self.api.must("POST", where(EXPERIMENTS, one), self.document(one))

    def change(self, namespace: str, patch: Any, subresource: str = "") -> None:
        """Apply a merge patch to the experiment, or to its status, as a person would."""
        path = self.path(namespace) + (f"/{subresource}" if subresource else "")
        self.api.must("PATCH", path, patch, form=MERGE)

    def path(self, namespace: str) -> str:
        """Where the experiment of that namespace is found."""
        return where(EXPERIMENTS, namespace, self.name)

    def document(self, namespace: str) -> dict[str, Any]:
        """The experiment as a person would write it."""
        return {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": {**self.spec, **self.changes.get(namespace, {})},
        }

    # --- looking ---------------------------------------------------------------------------------
    def experiments(self) -> dict[str, Any]:
        """The experiments that exist, by namespace."""
        found = self.api.list(EXPERIMENTS, fieldSelector=f"metadata.name={self.name}")
        return {one["metadata"]["namespace"]: one for one in found}

    def experiment(self, namespace: str) -> Any:
        """The experiment in that namespace."""
        return self.api.must("GET", self.path(namespace))

    def status(self, namespace: str) -> Any:
        """Its status; empty while there is none."""
        return self.experiment(namespace).get("status", {})

    def round(self, namespace: str, name: str) -> Any:
        """One round of its status; None if it is not there yet."""
        rounds = self.status(namespace).get("rounds", ())
        return next((one for one in rounds if one["name"] == name), None)

    def jobs(self) -> dict[str, list[Any]]:
        """Their Jobs, by namespace."""
        found: dict[str, list[Any]] = {namespace: [] for namespace in self.namespaces}
        for job in self.api.list(JOBS, labelSelector=f"{EXPERIMENT_LABEL}={self.name}"):
            found[job["metadata"]["namespace"]].append(job)
        return found

    def job(self, namespace: str, round_name: str, attempt: int = 1) -> Any:
        """The Job of that attempt; None if there is none."""
        selector = f"{ROUND_LABEL}={round_name},{ATTEMPT_LABEL}={attempt}"
        return next(iter(self.api.list(JOBS, namespace, labelSelector=selector)), None)

    def runs(self, namespace: str, round_name: str, attempt: int | None = None) -> list[Ran]:
        """The containers that were started for a round, oldest first."""
        uid = self.experiment(namespace)["metadata"]["uid"]
        return [ran for ran in self.node.ran(round_name, attempt) if ran.experiment == uid]

    # --- waiting ---------------------------------------------------------------------------------
    def wait_until_running(self, namespace: str, round_name: str, attempt: int = 1) -> None:
        """Wait until a container works on that attempt."""

        def does() -> bool:
            return any(ran.ended is None for ran in self.runs(namespace, round_name, attempt))

        eventually(does, f"{round_name}, attempt {attempt}, in {namespace}", PATIENCE_SECONDS)

    def wait_until_begun(self, namespace: str, round_name: str, attempt: int) -> None:
        """Wait until a container has been started for that attempt."""

        def is_begun() -> bool:
            return bool(self.runs(namespace, round_name, attempt))

        eventually(is_begun, f"{round_name}, attempt {attempt}, in {namespace}", PATIENCE_SECONDS)

    def wait_for(self, namespace: str, holds: Callable[[Any], bool], what: str) -> Any:
        """Wait until `holds` of its status; the status."""
        seen: dict[str, Any] = {}

        def does() -> bool:
            seen.clear()
            seen.update(self.status(namespace))
            return holds(seen)

        eventually(does, what, PATIENCE_SECONDS)
        return seen

    def wait_until_ended(self, *namespaces: str) -> dict[str, Any]:
        """Wait until the experiments of these namespaces (of all, if none is named) have ended; their statuses."""
        wanted = namespaces or self.namespaces
        latest: dict[str, Any] = {}

        def have_ended() -> bool:
            found = self.experiments()
            latest.update({name: found[name].get("status", {}) for name in wanted})
            return not self._unfinished(latest)

        try:
            eventually(have_ended, "end of the experiments", PATIENCE_SECONDS)
        except pytest.fail.Exception:
            left = self._unfinished(latest)
            first = latest[left[0]]
            pytest.fail(f"{len(left)} of {len(wanted)} did not end: {left}; the first: {first}")
        return latest

    # --- judging ---------------------------------------------------------------------------------
    def assert_all_is_well(self, reference: Any = None, *, once: bool = True) -> None:
        """Wait for the end of all, then hold each to the rules and to the status of a run without faults."""
        self.wait_until_ended()
        self._wait_for_quiet(*self.namespaces)
        problems = self._problems(self.namespaces, reference, once=once)
        assert not problems, "\n".join(f"{name}: {'; '.join(p)}" for name, p in problems.items())

    def assert_is_well(self, namespace: str, reference: Any = None, *, once: bool = True) -> None:
        """The same for one of them."""
        self.wait_until_ended(namespace)
        self._wait_for_quiet(namespace)
        problems = self._problems([namespace], reference, once=once)
        assert not problems, "; ".join(problems[namespace])

    def _problems(
        self, namespaces: Iterable[str], reference: Any, *, once: bool
    ) -> dict[str, list[str]]:
        jobs, experiments = self.jobs(), self.experiments()
        history = list(self.node.history)
        problems = {}
        for namespace in namespaces:
            experiment = experiments[namespace]
            found = broken_rules(experiment, jobs[namespace], history, once=once)
            if reference is not None and essence(experiment["status"]) != essence(reference):
                found.append(f"status differs: {_difference(experiment['status'], reference)}")
            if found:
                problems[namespace] = found
        return problems

    def _wait_for_quiet(self, *namespaces: str) -> None:
        """Jobs are deleted in the foreground: what is on its way out may take a moment."""

        def is_quiet() -> bool:
            jobs = self.jobs()
            return not any(is_live(job) for name in namespaces for job in jobs[name])

        try:
            eventually(is_quiet, "end of all Jobs", 60)
        except pytest.fail.Exception:
            return  # then the rules name those that go on

    @staticmethod
    def _unfinished(statuses: Mapping[str, Any]) -> list[str]:
        ends = ("Succeeded", "Failed")
        return [name for name, status in statuses.items() if status.get("phase") not in ends]


@contextmanager
def fleet_of(cluster: ClusterAccess, node: Node, size: int, **spec: Any) -> Iterator[Fleet]:
    """A fleet whose namespaces exist; they are deleted in the end."""
    fleet = Fleet(cluster, node, size, **spec)
    fleet.make_namespaces()
    try:
        yield fleet
    finally:
        for namespace in fleet.namespaces:
            fleet.api.ask("DELETE", where(NAMESPACES, name=namespace))


def _difference(status: Any, reference: Any) -> str:
    ours, theirs = essence(status), essence(reference)
    return "; ".join(
        f"{field}: {ours[field]} instead of {theirs[field]}"
        for field in ours
        if ours[field] != theirs[field]
    )
