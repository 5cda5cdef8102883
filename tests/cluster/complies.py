"""Whether a value fits a structural schema: what an API server checks before any rule in CEL."""

import re
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]


def complies(schema: Schema, value: Any) -> bool | None:
    """Whether the schema takes `value`; None where only a rule in CEL, or what becomes of a null, can tell."""
    if value is None:
        return True if schema.get("nullable") else None
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    if not _type_fits(schema, value) or ("enum" in schema and value not in schema["enum"]):
        return False
    parts: list[bool | None] = [None if ruled(schema) else True]
    if isinstance(value, str):
        fits = re.search(schema.get("pattern", ""), value) is not None
        parts.append(fits and _within(len(value), schema, "Length"))
    elif isinstance(value, list):
        parts += [complies(schema["items"], item) for item in value]
        parts.append(_within(len(value), schema, "Items"))
    elif isinstance(value, dict):
        parts += [complies(_field(schema, name), part) for name, part in value.items()]
        parts.append(set(schema.get("required", ())) <= value.keys())
        parts.append(_within(len(value), schema, "Properties"))
    elif not isinstance(value, bool):
        parts.append(_in_range(value, schema))
    return False if False in parts else None if None in parts else True


_NOTHING: Final[Schema] = {"type": "nothing"}


def _field(schema: Schema, name: str) -> Schema:
    unknown = schema.get("additionalProperties", _NOTHING)
    found: Schema = schema.get("properties", {}).get(name, unknown)
    return found


def _type_fits(schema: Schema, value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if schema.get("x-kubernetes-int-or-string"):
        return whole or isinstance(value, str)
    match schema["type"]:
        case "integer":
            return whole
        case "number":
            return whole or isinstance(value, float)
    kinds = {"string": str, "boolean": bool, "array": list, "object": dict}
    kind = kinds.get(schema["type"])
    return kind is not None and isinstance(value, kind)


def _within(size: int, schema: Schema, what: str) -> bool:
    return schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", size)


def _in_range(value: float, schema: Schema) -> bool:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above = value > low if schema.get("exclusiveMinimum") else value >= low
    below = value < high if schema.get("exclusiveMaximum") else value <= high
    return bool(above and below)


def ruled(schema: Schema) -> bool:
    """Whether a rule in CEL stands at this very schema."""
    return "x-kubernetes-validations" in schema
