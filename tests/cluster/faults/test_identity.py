"""Experiments are deleted, made again under the same name, or live in a namespace that goes; specs cannot be read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_access import ClusterAccess, eventually
from faults.api import EXPERIMENTS, JOBS, NAMESPACES, PODS, Api, where
from faults.conftest import MakeFleet
from faults.fleet import SHORT
from operator_process import OperatorProcess

CRDS = Path(__file__).parents[3] / "crds"
pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.parametrize("how", ["Background", "Orphan", "Foreground"])
def test_a_namesake_made_while_the_jobs_of_the_first_run_is_another_experiment(
    operator: OperatorProcess, make_fleet: MakeFleet, how: str
) -> None:
    fleet = make_fleet()
    (namespace,) = fleet.namespaces
    fleet.node.held.add((fleet.name, "dense-s0"))
    fleet.apply()
    fleet.wait_until_running(namespace, "dense-s0")
    first = fleet.experiment(namespace)["metadata"]["uid"]
    fleet.api.must("DELETE", fleet.path(namespace), {"propagationPolicy": how})
    eventually(
        lambda: fleet.api.ask("GET", fleet.path(namespace))[0] == 404, "end of the experiment"
    )
    fleet.apply()
    fleet.wait_until_running(namespace, "dense-s0")
    fleet.node.held.clear()
    fleet.wait_until_ended()
    second = fleet.experiment(namespace)["metadata"]["uid"]
    assert second != first
    ran = [one for one in fleet.node.ran("dense-s0") if one.experiment in (first, second)]
    assert {one.experiment for one in ran} == {first, second}
    if how != "Orphan":  # then the Jobs of the first are nobody's, as was asked for
        eventually(
            lambda: {_owner(job) for job in fleet.jobs()[namespace]} == {second},
            "the garbage collector to take the first one's Jobs",
        )
        fleet.assert_all_is_well()


def test_an_experiment_in_a_namespace_that_goes_troubles_nobody(
    operator: OperatorProcess, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(2)
    going, staying = fleet.namespaces
    fleet.node.held.add((fleet.name, "dense-s0"))
    fleet.apply()
    for namespace in fleet.namespaces:
        fleet.wait_until_running(namespace, "dense-s0")
    before = len(_troubles(operator))
    fleet.api.must("DELETE", where(NAMESPACES, name=going))
    eventually(
        lambda: fleet.api.ask("GET", where(NAMESPACES, name=going))[0] == 404,
        "end of the namespace",
        240,
    )
    fleet.node.held.clear()
    assert fleet.wait_until_ended(staying)[staying]["phase"] == "Succeeded"
    for kind in (EXPERIMENTS, JOBS, PODS):
        assert fleet.api.list(kind, going) == []
    assert _troubles(operator)[before:] == []


def test_a_spec_that_the_models_refuse_is_told_and_nothing_starts(
    experiments_crd: ClusterAccess, operator: OperatorProcess, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(2, **SHORT)
    broken, sound = fleet.namespaces
    fleet.changes[broken] = {"sparsities": {"targets": [0.8, 0.5]}}
    with _without_rules(experiments_crd, fleet.api, "sparsities", "targets"):
        eventually(
            lambda: (
                fleet.api.ask("POST", where(EXPERIMENTS, broken), fleet.document(broken))[0] == 201
            ),
            "the API server to let it through",
        )
    fleet.apply(sound)
    ended = fleet.wait_until_ended()
    assert (ended[broken]["phase"], ended[broken]["reason"]) == ("Failed", "InvalidSpec")
    assert "spec.sparsities" in ended[broken]["message"]
    assert ended[sound]["phase"] == "Succeeded"
    assert fleet.api.list(JOBS, broken) == []


@contextlib.contextmanager
def _without_rules(cluster: ClusterAccess, api: Api, *fields: str) -> Iterator[None]:
    """The CRD as somebody installed it who left out what stands at this field of spec."""
    path = (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pruningexperiments.ticketsmith.dev"
    )
    definition = api.must("GET", path)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for field in fields:
        schema = schema["properties"][field]
    del schema["x-kubernetes-validations"]
    api.must("PUT", path, definition)
    try:
        yield
    finally:
        cluster.install_crds(CRDS)


def _troubles(operator: OperatorProcess) -> list[dict[str, Any]]:
    """What the operator logged as an error of its own."""
    return [line for line in operator.log_lines() if line.get("level") == "error"]


def _owner(job: Any) -> str:
    (owner,) = job["metadata"]["ownerReferences"]
    return str(owner["uid"])
