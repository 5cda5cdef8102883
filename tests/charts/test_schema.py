"""What the charts refuse: unknown and mistyped values by their path, what does not go together in a sentence."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendered import CHART, CRD_CHART, MONITORING, ROOT, template

pytestmark = pytest.mark.usefixtures("helm")

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE = {
    *("global", "podSecurityContext", "securityContext", "resources.claims[]"),
    *(f"affinity.{kind}" for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity")),
    *("extraEnv[]", "extraVolumes[]", "extraVolumeMounts[]"),
    "topologySpreadConstraints[].labelSelector",
    *(f"networkPolicy.{rule}[]" for rule in ("ingressFrom", "egress[].to", "rounds.egress[].to")),
    *(
        f"metrics.{monitor}.{kind}[]"
        for monitor in ("serviceMonitor", "podMonitor")
        for kind in ("relabelings", "metricRelabelings")
    ),
}
"""What is for Kubernetes, or Prometheus, to check."""
PARTLY_SET = {"affinity", "livenessProbe", "readinessProbe", "resources"}
"""Groups whose values need not all be there."""

Schema = dict[str, Any]


def parts(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema within a schema, by its path; references are followed."""
    for one in (schema, *schema.get("allOf", ())):
        schema = (
            {**SCHEMA["$defs"][one["$ref"].rpartition("/")[2]], **schema}
            if "$ref" in one
            else schema
        )
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        if isinstance(inner, dict):
            yield from parts(inner, f"{path}.{name}".removeprefix("."))
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")


ALL = dict(parts(SCHEMA, ""))


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the values that are no groups of others."""
    for name, value in values.items():
        known = ALL[".".join((*path, name))]
        if isinstance(value, dict) and known.get("additionalProperties") is False and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name)


def at(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A document with that value at that path."""
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def told(tmp_path: Path, values: dict[str, Any], *arguments: str, chart: Path = CHART) -> str:
    """What helm says against the values."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    done = template("--values", file, *arguments, chart=chart, kinds=())
    assert done.returncode != 0
    return done.stderr


def test_the_schema_and_the_values_name_the_same() -> None:
    known = {
        path for path in ALL if path and "[" not in path and path.split(".")[0] not in PARTLY_SET
    }
    written = {
        ".".join(path[:depth]) for path in leaves(VALUES) for depth in range(1, len(path) + 1)
    }
    assert {path for path in written if path.split(".")[0] not in PARTLY_SET} == known - {"global"}
    assert written >= PARTLY_SET


def test_every_value_is_described() -> None:
    page = (ROOT / "docs" / "chart.md").read_text()
    described = dict(re.findall(r"^\| ([A-Za-z.]+) \| .* \| (.*) \|$", page, re.MULTILINE))
    missing = [".".join(path) for path in leaves(VALUES) if not _is_described(path, described)]
    assert missing == []


def _is_described(path: tuple[str, ...], described: dict[str, str]) -> bool:
    """By itself, or with the group it is in."""
    return any(described.get(".".join(path[:depth])) for depth in range(1, len(path) + 1))


def test_every_object_is_closed_or_known_to_be_free() -> None:
    objects = {path: one for path, one in ALL.items() if one.get("type") == "object"}
    assert len(objects) > 20
    open_ones = {path for path, one in objects.items() if "additionalProperties" not in one}
    assert open_ones == FREE


def test_every_value_of_a_wrong_type_is_refused_by_its_path(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {}
    paths = list(leaves(VALUES))
    assert len(paths) > 70
    for path in paths:
        here = wrong
        for name in path[:-1]:
            here = here.setdefault(name, {})
        here[path[-1]] = {"no": {"such": "type"}} if _takes(path, str) else "no such type"
    refused = set(re.findall(r"at '/([^']*)'", told(tmp_path, wrong)))
    missed = [
        "/".join(path)
        for path in paths
        if not any(one.startswith("/".join(path)) for one in refused)
    ]
    assert missed == []


def _takes(path: tuple[str, ...], kind: type) -> bool:
    value = VALUES
    for name in path:
        value = value[name]
    return isinstance(value, kind)


def test_every_unknown_value_is_refused_by_its_path(tmp_path: Path) -> None:
    closed = [
        path
        for path, one in ALL.items()
        if one.get("additionalProperties") is False and "[" not in path
    ]
    assert len(closed) > 20
    unknown: dict[str, Any] = {}
    for path in closed:
        here = unknown
        for name in filter(None, path.split(".")):
            here = here.setdefault(name, {})
        here["typo"] = 1
    said = told(tmp_path, unknown)
    for path in closed:
        place = "/" + path.replace(".", "/") if path else ""
        assert f"at '{place}': additional properties 'typo' not allowed" in said, path


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"watchNamespaces": ["Team_A"]}, "/watchNamespaces/0"),
        ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"image": {"repository": "a b"}}, "/image/repository"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"operator": {"workers": 0}}, "/operator/workers"),
        ({"operator": {"resyncSeconds": 0}}, "/operator/resyncSeconds"),
        ({"operator": {"logLevel": "loud"}}, "/operator/logLevel"),
        ({"replicaCount": -1}, "/replicaCount"),
        ({"leaderElection": {"leaseSeconds": 0.5}}, "/leaderElection/leaseSeconds"),
        ({"artifacts": {"uri": "s3://bucket"}}, "/artifacts/uri"),
        ({"prices": {"currency": "euros"}}, "/prices/currency"),
        ({"prices": {"entries": [{"accelerator": "t4"}]}}, "/prices/entries/0"),
        (
            {"prices": {"entries": [{"accelerator": "t4", "hourlyPerGpu": -1}]}},
            "/prices/entries/0/hourlyPerGpu",
        ),
        (
            {"prices": {"entries": [{"accelerator": "t4", "hourlyPerGpu": "1,5"}]}},
            "/prices/entries/0/hourlyPerGpu",
        ),
        ({"service": {"port": 70000}}, "/service/port"),
        ({"resources": {"limits": {"memory": "lots"}}}, "/resources/limits/memory"),
        ({"tolerations": [{"operator": "Is"}]}, "/tolerations/0/operator"),
        (
            {"commonLabels": {"app.kubernetes.io/name": "x"}},
            "/commonLabels/app.kubernetes.io~1name",
        ),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
        (
            {"metrics": {"serviceMonitor": {"interval": "often"}}},
            "/metrics/serviceMonitor/interval",
        ),
        ({"networkPolicy": {"egress": [{"from": []}]}}, "/networkPolicy/egress/0"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
        ({"extraArgs": ["verbose"]}, "/extraArgs/0"),
        ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_value_out_of_its_bounds_is_refused_by_its_path(
    tmp_path: Path, values: dict[str, Any], place: str
) -> None:
    assert f"at '{place}'" in told(tmp_path, values)


def test_the_resource_s_chart_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    said = told(tmp_path, {"keep": False}, chart=CRD_CHART)
    assert "at '': additional properties 'keep' not allowed" in said
    said = told(tmp_path, {"annotations": {"helm.sh/resource-policy": "delete"}}, chart=CRD_CHART)
    assert "at '/annotations/helm.sh~1resource-policy'" in said


def test_the_values_in_the_docs_are_good_ones(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "chart.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 1
    for block in blocks:
        file = tmp_path / "values.yaml"
        file.write_text(block)
        assert template("--values", file).returncode == 0, block


def test_a_parent_chart_may_share_values(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("global: {imageRegistry: registry.example.com}")
    assert template("--values", file).returncode == 0
    assert template("--values", file, chart=CRD_CHART).returncode == 0


ENTRIES = [{"accelerator": "cpu", "hourlyPerPod": "0.05"}]


@pytest.mark.parametrize(
    ("values", "named", "remedy"),
    [
        (
            {"replicaCount": 2},
            ["replicaCount", "leaderElection.enabled"],
            "set leaderElection.enabled=true",
        ),
        (
            {"prices": {"currency": "USD", "entries": ENTRIES, "existingConfigMap": "list"}},
            ["prices.entries", "prices.existingConfigMap"],
            "keep one of them",
        ),
        (
            {"prices": {"entries": ENTRIES}},
            ["prices.entries", "prices.currency"],
            "prices.currency=USD",
        ),
        (
            {"artifacts": {"uri": "gs://bucket", "persistentVolumeClaim": "claim"}},
            ["artifacts.persistentVolumeClaim", "artifacts.uri"],
            "artifacts.uri=file:///artifacts",
        ),
        (
            {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
            ["metrics.serviceMonitor.enabled", "metrics.podMonitor.enabled"],
            "keep one of them",
        ),
        (
            {"networkPolicy": {"rounds": {"enabled": True}}},
            ["networkPolicy.rounds.enabled"],
            "name them in networkPolicy.rounds.namespaces",
        ),
        (
            {"tracing": {"enabled": True}},
            ["tracing.enabled", "tracing.endpoint"],
            "tracing.endpoint=http",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_values_that_do_not_go_together_are_refused_in_a_sentence(
    tmp_path: Path, values: dict[str, Any], named: list[str], remedy: str
) -> None:
    said = told(tmp_path, values, *(f"--api-versions={kind}" for kind in MONITORING))
    assert remedy in _sentence(said)
    for value in named:
        assert value in _sentence(said)


@pytest.mark.parametrize("option", ["serviceMonitor", "podMonitor", "prometheusRule"])
def test_an_option_whose_kind_the_cluster_lacks_is_refused_in_a_sentence(
    tmp_path: Path, option: str
) -> None:
    values = {"metrics": {option: {"enabled": True}}}
    kind = f"monitoring.coreos.com/v1/{option[0].upper()}{option[1:]}"
    said = _sentence(told(tmp_path, values))
    assert f"metrics.{option}.enabled is true, but the cluster does not serve {kind}" in said
    assert f"set metrics.{option}.enabled=false" in said
    assert f"--api-versions {kind}" in said
    file = tmp_path / "values.json"
    assert template("--values", file, kinds=[kind]).returncode == 0


def _sentence(said: str) -> str:
    """Of helm's words, ours."""
    (line,) = (line for line in said.splitlines() if line.startswith("Error: execution error at "))
    return line.partition("): ")[2]
