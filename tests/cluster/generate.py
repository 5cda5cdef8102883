"""Changes of a spec drawn from the CRD's schema, good and bad, as the Acto paper (SOSP'23) tests operators with."""

import copy
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from complies import Schema, complies, ruled

from ticketsmith_operator.crd.resource import definition
from ticketsmith_operator.crd.rules import IMMUTABLE

Path = tuple[str, ...]

ABSENT: Final = object()
"""The value of a field that is removed."""
_SLIP: Final = 0.15
"""How often a drawn value breaks its schema, at each of its parts."""
_STRANGERS: Final = ("text", "", -1, 1.5, 10**12, True, [], {}, ["a"], {"name": "a"})
"""Values that are of a wrong type in most places."""
_TEXTS: Final = ("a", "a-b", "data", "NAME", "/data", "0", "4", "5.00", "500m", "16Gi", "20ep", "")
"""Among these is one for every pattern of the schema."""


@dataclass(frozen=True)
class Transition:
    """One change of a spec."""

    path: Path
    """Fields from spec down to the one that is set."""
    value: Any
    """What it is set to; ABSENT removes it."""
    valid: bool | None
    """Whether an API server must accept it (unknown fields refused: fieldValidation=Strict); None: a rule between
    fields, or null, decides."""

    def apply(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The spec after the change."""
        changed: dict[str, Any] = copy.deepcopy(dict(spec))
        at = changed
        for name in self.path[:-1]:
            if not isinstance(at.get(name), dict):
                at[name] = {}
            at = at[name]
        if self.value is ABSENT:
            at.pop(self.path[-1], None)
        else:
            at[self.path[-1]] = self.value
        return changed


def spec_schema() -> Schema:
    """The schema of spec in the CRD."""
    version = definition()["spec"]["versions"][0]
    schema: Schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def transitions(seed: int, spec: Mapping[str, Any]) -> Iterator[Transition]:
    """Changes without end, the same ones for the same seed.

    `spec` is one as the API server gives it back; only its immutable fields are read, so that the changes fit
    whatever has become of the others.
    """
    rng = random.Random(seed)
    schema = spec_schema()
    paths = list(_paths(schema))
    passing = [path for path in paths if path[0] not in IMMUTABLE]
    lasting = [path for path in paths if path[0] in IMMUTABLE]
    while True:
        if rng.random() < 0.2:
            change = _forbidden(rng.choice(lasting), schema, spec, rng)
            if change is not None:
                yield change
        else:
            yield _allowed(rng.choice(passing), schema, rng)


def _allowed(path: Path, schema: Schema, rng: random.Random) -> Transition:
    *above, field = _along(path, schema)
    if rng.random() < 0.1 and path[-1] not in above[-1].get("required", ()):
        return Transition(path, ABSENT, None if any(map(ruled, above[1:])) else True)
    value = draw(field, rng)
    valid = complies(field, value)
    return Transition(path, value, None if valid and any(map(ruled, above[1:])) else valid)


def _forbidden(
    path: Path, schema: Schema, spec: Mapping[str, Any], rng: random.Random
) -> Transition | None:
    """A change of an immutable field; None if it changes nothing."""
    value = ABSENT if rng.random() < 0.2 else draw(_along(path, schema)[-1], rng)
    change = Transition(path, value, False)
    after = change.apply(spec)
    if value is None or after == dict(spec):
        return None
    # What the server fills in again has not been removed.
    refilled = value is ABSENT and "default" in _along(path, schema)[-1]
    return Transition(path, value, None) if refilled else change


def draw(schema: Schema, rng: random.Random) -> Any:
    """A value for `schema`: at its bounds, one of its choices, in its form; now and then one that breaks it."""
    if rng.random() < _SLIP:
        return rng.choice([*_STRANGERS, *_beyond(schema)])
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return rng.choice([_number(schema, rng, whole=True), _text(schema, rng)])
    match schema.get("type"):
        case "object" if "properties" in schema:
            needed = schema.get("required", ())
            drawn = {
                name: draw(field, rng)
                for name, field in schema["properties"].items()
                if (rng.random() < 0.4) ^ (name in needed and rng.random() < 0.95)
            }
            return drawn | ({"misspelt": 1} if rng.random() < _SLIP / 3 else {})
        case "object":
            return {
                name: draw(schema["additionalProperties"], rng)
                for name in rng.sample(["cpu", "memory", "nvidia.com/gpu"], rng.randint(0, 2))
            }
        case "array":
            return [draw(schema["items"], rng) for _ in range(rng.randint(0, 2))]
        case "string":
            return _text(schema, rng)
        case "integer" | "number" as kind:
            return _number(schema, rng, whole=kind == "integer")
        case "boolean":
            return rng.random() < 0.5
    return rng.choice([1, "text", True, [1], {"a": 1}])


def _beyond(schema: Schema) -> Iterator[Any]:
    """Values of the right type just outside the bounds."""
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        yield [0] * (schema["maxItems"] + 1)


def _number(schema: Schema, rng: random.Random, *, whole: bool) -> float:
    low, high = schema.get("minimum", -10), schema.get("maximum", 10)
    least = low + 1 if whole and schema.get("exclusiveMinimum") else low
    most = high - 1 if whole and schema.get("exclusiveMaximum") else high
    if whole:
        return rng.choice([least, most, rng.randint(least, most), min(most, least + 1)])
    return rng.choice([low, high, low + (high - low) * 0.5, low + (high - low) * 0.125])


def _text(schema: Schema, rng: random.Random) -> str:
    choices = schema.get("pattern", "").strip("^()$").split("|")  # how a nullable choice is said
    return rng.choice([text for text in (*_TEXTS, *choices) if complies(schema, text) is not False])


def _paths(schema: Schema, path: Path = ()) -> Iterator[Path]:
    """Every field that can be set by its path; those inside lists and maps are set with the whole."""
    for name, field in schema.get("properties", {}).items():
        yield (*path, name)
        yield from _paths(field, (*path, name))


def _along(path: Path, schema: Schema) -> list[Schema]:
    """The schemas from spec down to the field."""
    found = [schema]
    for name in path:
        found.append(found[-1]["properties"][name])
    return found
