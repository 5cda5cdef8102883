"""The field reference of the resource, as Markdown, from the models themselves: docs/experiment.md.

python -m ticketsmith.experiment.reference > docs/experiment.md
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ticketsmith.experiment.duration import Duration
from ticketsmith.experiment.spec import PruningExperiment

Schema = Mapping[str, Any]

_INTRODUCTION = """\
# The experiment file, field by field

Made from the models in `runner/ticketsmith/experiment/spec.py` by `make docs`; do not edit it here. Unknown
fields are refused.
`ticketsmith init` writes a commented file to begin from, and [`examples/`](../examples) holds whole ones.

| field | type | default | meaning |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """The whole page."""
    schema = PruningExperiment.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    spec = definitions["ExperimentSpec"]
    rows = _rows("spec", spec, definitions)
    return _INTRODUCTION + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(path: str, schema: Schema, definitions: Schema) -> Iterator[tuple[str, str, str, str]]:
    """A row for each field below `path`, those of nested models after the field that holds them."""
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        inner = _model(field, definitions)
        default = "**required**" if name in required else _default(field, inner)
        told = field.get("description") or (inner or {}).get("description", "")
        meaning = " ".join(told.split()).replace("|", "\\|")
        yield f"`{path}.{name}`", _type(field, definitions), default, meaning
        if inner is not None:
            item = "[]" if field.get("type") == "array" else ""
            yield from _rows(f"{path}.{name}{item}", inner, definitions)


def _model(field: Schema, definitions: Schema) -> Schema | None:
    """The model a field holds, itself, in a list or beside null."""
    for part in (field, field.get("items", {}), *field.get("anyOf", ()), *field.get("allOf", ())):
        if "$ref" in part:
            found: Schema = definitions[part["$ref"].rpartition("/")[2]]
            return found if "properties" in found else None
    return None


def _default(field: Schema, inner: Schema | None) -> str:
    value = field.get("default")
    if value is None:
        return "null"
    if inner is not None and isinstance(value, dict):
        return ""  # its fields say their own
    if isinstance(value, dict) and value.keys() == {"epochs", "iterations"}:
        return f"`{Duration(**value)}`"
    return f"`{json.dumps(value)}`"


def _type(field: Schema, definitions: Schema) -> str:
    if "anyOf" in field:
        kinds = [_type(part, definitions) for part in field["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        return "object" if _model(field, definitions) else "text"
    if field.get("type") == "array":
        return f"list of {_type(field['items'], definitions)}"
    kind = {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(
        str(field.get("type")), str(field.get("type", "any"))
    )
    return kind + _bounds(field)


def _bounds(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    if low is None and above is None and high is None and below is None:
        return ""
    left = f"[{low}" if low is not None else f"({above}" if above is not None else "(-∞"
    right = f"{high}]" if high is not None else f"{below})" if below is not None else "∞)"
    return f" in {left}, {right}"


if __name__ == "__main__":
    print(reference(), end="")
