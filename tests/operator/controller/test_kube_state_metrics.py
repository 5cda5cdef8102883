"""examples/kube-state-metrics: every path is one of the resource's, and leads to what the operator writes there."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from ticketsmith.experiment.status import Phase
from ticketsmith_operator.kube.base import EXPERIMENTS

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "kube-state-metrics"
[RESOURCE] = yaml.safe_load((FOLDER / "config.yaml").read_text())["spec"]["resources"]
METRICS: list[dict[str, Any]] = RESOURCE["metrics"]
PRICES = {
    "currency": "USD",
    "prices": [{"match": {}, "accelerator": "nvidia-l4", "hourlyPerGpu": "36"}],
}
MakeDesk = Callable[..., Any]


def body(metric: Mapping[str, Any]) -> dict[str, Any]:
    kind = metric["each"]["type"]
    return dict(metric["each"][kind[0].lower() + kind[1:]])


def paths(metric: Mapping[str, Any]) -> Iterator[list[str]]:
    """Every path of the resource that a metric reads, for its value and for its labels."""
    each = body(metric)
    above = each.get("path", [])
    yield above + each.get("valueFrom", [])
    yield from (above + inner for inner in each.get("labelsFromPath", {}).values())
    yield from metric.get("labelsFromPath", {}).values()


def find(document: Any, path: Sequence[str]) -> Any:
    """As kube-state-metrics walks: what is missing is None, a list is walked through."""
    if isinstance(document, list):
        return [find(one, path) for one in document]
    if not path or not isinstance(document, dict):
        return None if path else document
    return find(document.get(path[0]), path[1:])


def number(value: Any) -> float:
    """As kube-state-metrics reads a value: truths, times and quantities are numbers too."""
    if isinstance(value, str):
        if value in {"True", "False", "Unknown"}:
            return float(value == "True")
        if re.match(r"\d{4}-\d\d-\d\dT", value):
            return datetime.fromisoformat(value).timestamp()
        return float(Decimal(value))
    return float(value)


@pytest.fixture
def resource(make_desk: MakeDesk, tmp_path: Path) -> dict[str, Any]:
    """An experiment as it stands in the API when it is over."""
    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump(PRICES))
    desk = make_desk(prices=str(prices))
    limits = {"maxCost": "500.50", "deadlineSeconds": 86400}
    gpu = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    given = desk.apply(limits=limits, runner=gpu, dataset={"name": "digits"}, suspend=False)
    given["metadata"] |= {"labels": {"team": "vision"}, "creationTimestamp": "2025-06-15T00:00:00Z"}
    asyncio.run(desk.look_and_turn())
    for name in ("dense-s0", "ticket-s0-l01", "report"):
        desk.pod(name, running={"startedAt": "2025-06-15T00:00:00Z"})
        asyncio.run(desk.look_and_turn(after=5))
        desk.now += 10
        desk.finish(name)
        asyncio.run(desk.look_and_turn())
    written = desk.server.objects[EXPERIMENTS, "ns", "trial"]
    assert written["status"]["phase"] == "Succeeded"
    written["status"]["best"]["speedup"] = 1.5  # nothing was timed here
    return dict(written)


def test_every_path_is_one_of_the_schema() -> None:
    crd = yaml.safe_load((ROOT / "crds" / "ticketsmith.dev_pruningexperiments.yaml").read_text())
    [version] = crd["spec"]["versions"]
    assert RESOURCE["groupVersionKind"] == {
        "group": crd["spec"]["group"],
        "version": version["name"],
        "kind": crd["spec"]["names"]["kind"],
    }
    wanted = [path for metric in METRICS for path in paths(metric) if path]
    wanted += RESOURCE["labelsFromPath"].values()
    assert len(wanted) > 25
    for path in wanted:
        if path[0] == "metadata":
            assert path[1:] in (
                [],
                *([one] for one in ("namespace", "name", "uid", "labels", "creationTimestamp")),
            )
            continue
        schema = version["schema"]["openAPIV3Schema"]
        for part in path:
            schema = schema.get("items", schema)
            assert part in schema["properties"], path
            schema = schema["properties"][part]


def test_each_metric_finds_a_number_in_what_the_operator_wrote(resource: dict[str, Any]) -> None:
    read = {}
    for metric in METRICS:
        each = body(metric)
        found = find(resource, each.get("path", []) + each.get("valueFrom", []))
        if metric["each"]["type"] == "Gauge":
            values = found if isinstance(found, list) else [found]
            read[metric["name"]] = [number(value) for value in values]
        else:
            assert found, metric["name"]
        for label in (*each.get("labelsFromPath", {}).values(),):
            assert find(resource, each.get("path", []) + label), (metric["name"], label)
    status = resource["status"]
    assert read["status_cost"] == [pytest.approx(0.3)]
    assert find(resource, ["status", "usage", "currency"]) == "USD"
    assert read["limit_cost"] == [500.5]
    assert read["status_best_sparsity_ratio"] == [0.5]
    assert read["status_gpu_seconds"] == [30.0]
    assert read["status_start_time"] == [number(status["startedAt"])]
    types = [condition["type"] for condition in status["conditions"]]
    conditions = dict(zip(types, read["status_condition"], strict=True))
    assert conditions["Complete"] == 1.0
    assert conditions["Progressing"] == 0.0


def test_the_phases_are_all_that_there_are() -> None:
    [phases] = [metric for metric in METRICS if metric["name"] == "status_phase"]
    assert tuple(body(phases)["list"]) == get_args(Phase)


def test_names_are_unique_and_explained() -> None:
    names = [metric["name"] for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric["help"].endswith(".") for metric in METRICS)
    shown = set(re.findall(r"kube_pruningexperiment_(\w+)", (FOLDER / "README.md").read_text()))
    assert shown <= set(names)


def test_the_values_grant_what_it_takes_and_mount_what_they_name() -> None:
    values = yaml.safe_load((FOLDER / "values.yaml").read_text())
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in values["rbac"]["extraRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
        ("ticketsmith.dev", "pruningexperiments"): {"list", "watch"},
    }
    [mount], [volume], [flag] = values["volumeMounts"], values["volumes"], values["extraArgs"]
    assert mount["name"] == volume["name"]
    assert flag.partition("=")[2] == f"{mount['mountPath']}/config.yaml"
    made = f"create configmap {volume['configMap']['name']} --from-file=config.yaml"
    assert made in (FOLDER / "README.md").read_text()
