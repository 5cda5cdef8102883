"""Experiments that live in Git: what Argo CD and Flux find, on a real API server, in every phase."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess, Kubectl, eventually
from operator_process import OperatorProcess
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

sys.path.insert(0, str(Path(__file__).parents[1] / "gitops"))

from argo_health import health
from kstatus import compute, require

from ticketsmith.experiment.contract import (
    BenchmarkRound,
    ReportRound,
    RoundError,
    RoundResult,
    TrainRound,
)

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ROOT = Path(__file__).parents[2]
HEALTH = (ROOT / "charts" / "ticketsmith" / "files" / "argocd" / "health.lua").read_text()
ARGO = ("--server-side", "--field-manager=argocd-controller")
"""How Argo CD applies with the sync option ServerSideApply=true, and compares with ServerSideDiff=true."""
CLIENT = ()
"""How it does without them."""
TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
OPERATOR = "ticketsmith"
SPEC: dict[str, Any] = {
    "model": {"name": "lenet300"},
    "training": {"duration": "1ep", "optimizer": {"lr": 0.001}},
    "sparsities": {"targets": [0.5]},
    "controls": [],
    "seeds": [0],
    "gates": [{"metric": "accuracy", "maxDrop": 0.5}],
    # The server fills in the toleration's operator, inside a list.
    "runner": {
        "tolerations": [{"key": "spot", "value": "true"}],
        "resources": {"limits": {"cpu": 1}},
    },
    "artifacts": {"uri": "gs://bucket/prefix"},
}
"""Leaves every default to the server."""
FAILS = "fails"
TEAM = {"team": "vision"}


def answer(told: TrainRound | BenchmarkRound | ReportRound) -> RoundResult | RoundError:
    if told.experiment == FAILS:
        return RoundError(exit_code=2, message="no such data")
    return plausible_answer(told)


class Repository:
    """Experiments as files, and one way of bringing them to a namespace."""

    def __init__(self, kubectl: Kubectl, way: tuple[str, ...]) -> None:
        self.manager = "argocd-controller" if way == ARGO else "kubectl-client-side-apply"
        """Who owns the fields that it applies."""
        self._kubectl = kubectl
        self._way = way
        self._files: dict[str, dict[str, Any]] = {}

    def sync(self, name: str, labels: Mapping[str, str] = TEAM, **spec: Any) -> None:
        """Commit that spec and apply it."""
        metadata = {
            "name": name,
            "labels": {INSTANCE: "research", **labels},
            "annotations": {TRACKING: f"research:ticketsmith.dev/PruningExperiment:ns/{name}"},
        }
        self._files[name] = {
            "apiVersion": "ticketsmith.dev/v1alpha1",
            "kind": "PruningExperiment",
            "metadata": metadata,
            "spec": SPEC | spec,
        }
        self._kubectl("apply", *self._way, "-f", "-", input=json.dumps(self._files[name]))

    def differences(self) -> str:
        """What an apply would change now, by the server's own word."""
        every = "\n---\n".join(json.dumps(file) for file in self._files.values())
        found = self._kubectl("diff", *self._way, "-f", "-", input=every, check=False)
        assert found.returncode in (0, 1), found.stderr
        assert (found.returncode == 0) == (found.stdout == "")
        return found.stdout

    def live(self) -> dict[str, dict[str, Any]]:
        """The experiments by name, as the API server holds them, with who owns which field."""
        listed = json.loads(
            self._kubectl("get", "pex", "-o", "json", "--show-managed-fields").stdout
        )
        return {one["metadata"]["name"]: one for one in listed["items"]}

    def phases(self) -> dict[str, str]:
        return {name: one["status"].get("phase", "") for name, one in self.live().items()}

    def until(self, **phases: str) -> None:
        """Wait until the experiments are in these phases, and their Jobs follow; nothing differs from Git then."""
        eventually(lambda: phases.items() <= self.phases().items(), f"{phases}")
        assert self.differences() == ""

    def seen(self) -> dict[str, tuple[str, str]]:
        """What Flux and what Argo CD makes of each."""
        live = self.live()
        verdicts = compute(list(live.values()))
        return {
            name: (verdict.status, health(HEALTH, one)[0])
            for (name, one), verdict in zip(live.items(), verdicts, strict=True)
        }


@pytest.fixture(params=[ARGO, CLIENT], ids=["server-side", "client-side"])
def repository(
    experiments_crd: ClusterAccess, kubectl: Kubectl, request: pytest.FixtureRequest
) -> Repository:
    require()
    return Repository(kubectl, request.param)


def test_git_argo_cd_flux_and_the_operator_agree_from_the_first_sync_to_the_end(
    repository: Repository,
    kubectl: Kubectl,
    experiments_crd: ClusterAccess,
    namespace: str,
    tmp_path: Path,
) -> None:
    repository.sync("succeeds")
    repository.sync(FAILS)
    repository.sync("rests")
    repository.sync("refused", training={"duration": "1ep"}, pruning={"rewind": "9ep"})
    assert repository.differences() == ""
    assert set(repository.seen().values()) == {("InProgress", "Progressing")}, "nobody looked yet"

    operator = OperatorProcess(experiments_crd.kubeconfig, [namespace], resync_seconds=2)
    with operator:
        repository.until(succeeds="Running", fails="Running", rests="Running", refused="Failed")
        repository.sync("rests", suspend=True)
        repository.until(rests="Suspended")
        assert repository.seen() == {
            "succeeds": ("InProgress", "Progressing"),
            "fails": ("InProgress", "Progressing"),
            "rests": ("InProgress", "Suspended"),
            "refused": ("Failed", "Degraded"),
        }
        with ProcessKubelet(experiments_crd.kubeconfig, tmp_path, simulate=answer):
            for condition, name in [
                ("Complete", "succeeds"),
                ("Ready", "succeeds"),
                ("Stalled", FAILS),
            ]:
                waits = (f"--for=condition={condition}", f"pex/{name}", "--timeout=240s")
                kubectl("wait", *waits)
            repository.until(succeeds="Succeeded", fails="Failed")
    assert repository.seen()["succeeds"] == ("Current", "Healthy")
    assert repository.seen()[FAILS] == ("Failed", "Degraded")

    repository.sync("succeeds", suspend=True)
    assert repository.differences() == ""
    assert repository.seen()["succeeds"] == ("InProgress", "Progressing"), "nobody saw the change"

    repository.sync(FAILS, labels={})
    assert "team" not in repository.live()[FAILS]["metadata"]["labels"], "Git owns it to the end"
    for one in repository.live().values():
        owners_keep_to_their_own(one, repository.manager)
    jobs_are_nobody_else_s(kubectl, repository.live())


def owners_keep_to_their_own(one: dict[str, Any], git: str) -> None:
    """The operator owns the status, and nothing else; Git owns the rest."""
    owned = [
        (entry["manager"], set(entry["fieldsV1"])) for entry in one["metadata"]["managedFields"]
    ]
    assert [parts for manager, parts in owned if manager == OPERATOR] == [{"f:status"}]
    others = [(manager, parts) for manager, parts in owned if manager != OPERATOR]
    assert {manager for manager, _ in others} == {git}
    assert set().union(*(parts for _, parts in others)) == {"f:metadata", "f:spec"}


def jobs_are_nobody_else_s(kubectl: Kubectl, live: dict[str, dict[str, Any]]) -> None:
    """Argo CD would take a Job that carries its marks for its own, and prune it."""
    jobs = json.loads(kubectl("get", "jobs", "-o", "json").stdout)["items"]
    assert jobs
    uids = {one["metadata"]["uid"] for one in live.values()}
    for job in jobs:
        (owner,) = job["metadata"]["ownerReferences"]
        assert owner["uid"] in uids
        assert owner["controller"] is True
        for part in (job, job["spec"]["template"]):
            labels = part["metadata"].get("labels", {})
            annotations = part["metadata"].get("annotations", {})
            assert INSTANCE not in labels
            assert "team" not in labels
            assert not [name for name in annotations if "argoproj" in name]
