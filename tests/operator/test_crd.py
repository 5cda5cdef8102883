"""The CRD as it is generated: fresh, structural, closed, described, bounded."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from ticketsmith.experiment import placement, spec
from ticketsmith_operator.crd.__main__ import manifest
from ticketsmith_operator.crd.resource import COLUMNS, definition
from ticketsmith_operator.crd.rules import IMMUTABLE, RULES, SERVER_DEFAULTS
from ticketsmith_operator.crd.schema import structural

FILE = Path(__file__).parents[2] / "crds" / "ticketsmith.dev_pruningexperiments.yaml"
VERSION = definition()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]

TYPES = {"object", "array", "string", "integer", "number", "boolean"}
ANYTHING = "x-kubernetes-preserve-unknown-fields"
FORBIDDEN = {
    "$ref",
    "definitions",
    "uniqueItems",
    "readOnly",
    "patternProperties",
    "deprecated",
} | {
    *(
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "if",
        "const",
        "exclusiveRequired",
        "propertyNames",
        "$defs",
    )
}
"""What a CRD may not hold, and what ours has no need of."""


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, by its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from nodes(schema[inner], f"{path}[]")


ALL = dict(nodes(ROOT, ""))
OURS = {path: node for path, node in ALL.items() if path.startswith((".spec", ".status"))}
BOUNDS = {
    "string": {"maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "union": {"minimum", "maximum", "maxLength", "pattern"},
    "array": {"maxItems"},
    "map": {"maxProperties"},
}


def kind(node: dict[str, Any]) -> str:
    """What decides which bounds a value needs."""
    if "enum" in node or re.fullmatch(r"\^\(\w+(\|\w+)*\)\$", node.get("pattern", "")):
        return "choice"
    if "additionalProperties" in node:
        return "map"
    if node.get("x-kubernetes-int-or-string"):
        return "union"
    return str(node.get("type", "anything"))


def test_the_committed_manifest_is_fresh() -> None:
    assert FILE.read_text() == manifest(), "stale: run make crds"
    assert yaml.safe_load(FILE.read_text()) == definition()


def test_every_part_is_structural() -> None:
    for path, node in ALL.items():
        assert not FORBIDDEN & node.keys(), path
        loose = node.get("x-kubernetes-int-or-string") or node.get(ANYTHING)
        assert loose or node["type"] in TYPES, path
        assert not (loose and "type" in node), path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert ("items" in node) == (node.get("type") == "array"), path
        assert set(node.get("required", ())) <= node.get("properties", {}).keys(), path
        if node.get("type") == "object" and path != ".metadata":
            assert node.get("properties") or node.get("additionalProperties"), path


def test_patterns_are_such_as_every_reader_understands_alike() -> None:
    """The API server's regular expressions know no look-ahead, and its digits are 0 to 9."""
    patterns = {node["pattern"] for node in ALL.values() if "pattern" in node}
    assert len(patterns) > 5
    assert [one for one in patterns if "(?" in one or re.search(r"\\[dws]", one)] == []


def test_only_the_options_of_other_libraries_are_left_open() -> None:
    loose = [path for path, node in ALL.items() if node.get(ANYTHING)]
    assert loose == [".spec.model.options[]", ".spec.dataset.options[]"]


def test_every_field_of_spec_and_status_is_described() -> None:
    fields = {path: node for path, node in OURS.items() if not path.endswith("]")}
    assert len(fields) > 100
    assert [path for path, node in fields.items() if not node.get("description")] == []


def test_every_value_of_spec_is_bounded() -> None:
    values = {path: node for path, node in OURS.items() if path.startswith(".spec")}
    assert [
        path for path, node in values.items() if not BOUNDS.get(kind(node), set()) <= node.keys()
    ] == []


@pytest.mark.parametrize("name", sorted({*RULES, *SERVER_DEFAULTS}))
def test_every_rule_and_default_stands_at_a_model_or_field_there_is(name: str) -> None:
    model_name, _, field = name.partition(".")
    models = {**vars(placement), **vars(spec)}
    model = models[model_name]
    assert issubclass(model, BaseModel)
    fields = {one.alias for one in model.model_fields.values()}
    assert not field or field in fields
    for rule in RULES.get(name, ()):
        assert not rule.field or rule.field in fields
        assert (
            ": " in rule.message
            or "give " in rule.message
            or "needs " in rule.message
            or "must " in rule.message
        )


def test_every_model_that_checks_its_fields_against_each_other_has_rules() -> None:
    """A new validator of a model needs its rule in CEL, or the API server lets through what we refuse."""
    models = [
        model
        for module in (spec, placement)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
    ]
    checked = {model.__name__ for model in models if model.__pydantic_decorators__.model_validators}
    assert checked >= {"SparsitiesSpec", "VolumeSpec"}
    assert checked <= {name.partition(".")[0] for name in RULES}


def test_every_field_of_spec_is_either_immutable_or_known_to_change() -> None:
    assert set(SPEC["properties"]) - set(IMMUTABLE) == {"limits", "retention", "runner", "suspend"}
    assert set(IMMUTABLE) < set(SPEC["properties"])


def test_the_server_fills_in_no_other_default_than_those_named() -> None:
    found = {path: node["default"] for path, node in ALL.items() if "default" in node}
    assert found == {
        ".spec.training.optimizer.name": "adam",
        ".spec.training.lrSchedule.name": "constant",
        ".spec.benchmark": {"batchSizes": [1, 32], "warmup": 10, "repeats": 50},
        ".spec.runner.tolerations[].operator": "Equal",
        ".status": {"observedGeneration": -1},
    }


def test_columns_read_plain_fields_of_the_status() -> None:
    names = [name for name, _, _, priority in COLUMNS if not priority]
    assert names == ["Phase", "Progress", "Best sparsity", "Drop", "Speedup", "Cost", "Age"]
    for _, _, path, _ in COLUMNS:
        assert "[" not in path
        assert path in ALL or path == ".metadata.creationTimestamp"


def test_names_scope_and_subresource() -> None:
    names = definition()["spec"]["names"]
    assert names["shortNames"] == ["pex"]
    assert names["categories"] == ["all"]
    assert names["listKind"] == "PruningExperimentList"
    assert definition()["spec"]["scope"] == "Namespaced"
    assert VERSION["name"] == "v1alpha1"
    assert VERSION["served"]
    assert VERSION["storage"]
    assert VERSION["subresources"] == {"status": {}}


def test_a_type_a_structural_schema_cannot_hold_is_refused() -> None:
    class Torn(BaseModel):
        """Neither."""

        value: int | list[int]

    with pytest.raises(ValueError, match="no union of"):
        structural(Torn)
