"""A pydantic model as a structural OpenAPI v3 schema, the form in which an API server understands it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ticketsmith_operator.crd.rules import RULES, SERVER_DEFAULTS

Schema = dict[str, Any]

_SAME = (
    *("type", "enum", "pattern", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
)
"""Words that mean the same in JSON Schema and in OpenAPI v3."""


def structural(model: type[BaseModel]) -> Schema:
    """The schema of `model`, with the rules that stand at it and at the models within it, and nothing left open.

    ValueError on a type that a structural schema cannot hold.
    """
    plain = model.model_json_schema(by_alias=True)
    return _Conversion(plain.get("$defs", {})).model(model.__name__, plain)


class _Conversion:
    """From JSON Schema, whose models stand apart and are referred to, to one tree."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.definitions = definitions

    def model(self, name: str, plain: Mapping[str, Any]) -> Schema:
        """An object with these fields and no other: what is not named is pruned, or refused where that is asked."""
        fields = {key: self.field(name, key, field) for key, field in plain["properties"].items()}
        required = {"required": sorted(plain["required"])} if "required" in plain else {}
        schema = {"description": _one_line(plain["description"]), "type": "object"}
        return _with_rules({**schema, "properties": fields, **required}, name)

    def field(self, model: str, name: str, plain: Mapping[str, Any]) -> Schema:
        """The schema of one field, with the rules that stand at it."""
        place = f"{model}.{name}"
        default = {"default": plain["default"]} if place in SERVER_DEFAULTS else {}
        return _with_rules({**self.value(plain), **default}, place)

    def value(self, plain: Mapping[str, Any]) -> Schema:
        """The schema of one value, its description first."""
        told = plain.get("description")
        schema = self._shape(plain)
        if told is not None:
            schema = {**schema, "description": _one_line(told)}
        return {key: schema[key] for key in sorted(schema, key=lambda key: key != "description")}

    def _shape(self, plain: Mapping[str, Any]) -> Schema:
        if "$ref" in plain:
            name = plain["$ref"].rpartition("/")[2]
            return self.model(name, self.definitions[name])
        if "anyOf" in plain:
            return self._union(plain["anyOf"])
        schema = {key: plain[key] for key in _SAME if key in plain}
        if "const" in plain:
            schema["enum"] = [plain["const"]]
        for bound in ("Minimum", "Maximum"):
            if f"exclusive{bound}" in plain:
                schema[bound.lower()] = plain[f"exclusive{bound}"]
                schema[f"exclusive{bound}"] = True
        match plain.get("type"):
            case "array":
                schema["items"] = self.value(plain["items"])
            case "object":
                schema |= self._map(plain)
            case "string" | "integer" | "number" | "boolean":
                pass
            case _:
                raise ValueError(f"a structural schema cannot hold {plain}")
        return schema

    def _union(self, parts: list[Any]) -> Schema:
        """One type or null, or the one union there is: a whole number or a text, each with its own bounds."""
        shapes = [self._shape(part) for part in parts if part.get("type") != "null"]
        schema = shapes[0]
        if len(shapes) > 1:
            kinds = {shape.get("type") for shape in shapes}
            if kinds not in ({"integer", "string"}, {"number", "string"}):
                raise ValueError(f"a structural schema knows no union of {parts}")
            both = {key: value for shape in shapes for key, value in shape.items() if key != "type"}
            schema = {**both, "x-kubernetes-int-or-string": True}
        if len(shapes) < len(parts):
            schema["nullable"] = True
            if "enum" in schema:
                # An API server compares null with the values, and no null among them equals it.
                schema["pattern"] = f"^({'|'.join(schema.pop('enum'))})$"
        return schema

    def _map(self, plain: Mapping[str, Any]) -> Schema:
        values = plain["additionalProperties"]
        if values is True:
            # Keyword arguments of another library's functions: only that library knows their types.
            anything = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
            return {"additionalProperties": anything}
        schema: Schema = {"additionalProperties": self.value(values)}
        if "propertyNames" in plain:
            keys = plain["propertyNames"]
            schema["x-kubernetes-validations"] = _key_lengths(keys["minLength"], keys["maxLength"])
        return schema


def _with_rules(schema: Schema, place: str) -> Schema:
    rules = [rule.document() for rule in RULES.get(place, ())]
    said = [*schema.get("x-kubernetes-validations", []), *rules]
    return {**schema, "x-kubernetes-validations": said} if said else schema


def _key_lengths(least: int, most: int) -> list[Schema]:
    """The bounds of a map's keys, for which a structural schema has no words of its own."""
    rule = f"self.all(key, size(key) >= {least} && size(key) <= {most})"
    return [{"rule": rule, "message": f"each key must have {least} to {most} characters"}]


def _one_line(text: str) -> str:
    return " ".join(text.split())
