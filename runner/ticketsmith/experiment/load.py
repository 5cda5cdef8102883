"""Read a person's document: an experiment, or one sentence about the first thing that is wrong with it."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ticketsmith.experiment.check import check
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS = {
    "a valid array": "a list",
    "a valid string": "a text",
    "a valid boolean": "true or false",
    "a valid decimal": "a number",
    "a valid number": "a number",
    "a valid integer": "a whole number",
    "an object": "a mapping",
}
"""pydantic's and JSON's names of types, and those of people who write YAML."""
_SHOWN = 60
"""Characters of a wrong value that are repeated to its author."""


def parse_experiment(document: object) -> PruningExperiment:
    """Read an experiment from plain data (mappings, lists, texts, numbers), as YAML or JSON gives it.

    Types are taken at their word: "60" is no number and yes is no truth value, as on a cluster.
    BadSpec says in one sentence which field is wrong, its value, and the remedy; of several errors the first.
    """
    if not isinstance(document, Mapping):
        raise BadSpec(
            f"the document is {_kind(document)}, not a mapping with apiVersion, kind, metadata and spec:"
            " `ticketsmith init` writes one to start from"
        )
    try:
        text = json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        path, value = _not_json(document)
        raise BadSpec(
            f"{path} is {_shown(value)}, which JSON cannot hold: write a text or a finite number"
        ) from error
    try:
        experiment = PruningExperiment.model_validate_json(
            text, strict=True, by_alias=True, by_name=False
        )
    except ValidationError as error:
        problems = [_sentence(details) for details in _innermost(error.errors(include_url=False))]
        raise BadSpec(_first_of(problems)) from error
    problems = list(check(experiment.spec))
    if problems:
        raise BadSpec(_first_of(problems))
    return experiment


def _first_of(problems: Sequence[str]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more


def _innermost(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """The errors without those that only follow from one further inside, such as a list short of a bad item."""
    for error in errors:
        size = len(error["loc"])
        if not any(len(e["loc"]) > size and e["loc"][:size] == error["loc"] for e in errors):
            yield error


def _sentence(error: ErrorDetails) -> str:
    """One pydantic error in the words of the document's author."""
    path = _path(error["loc"])
    value = error["input"]
    fields, field = _find(error["loc"])
    match error["type"]:
        case "missing":
            return f"{path} is missing{_meaning(field)}: add it"
        case "extra_forbidden":
            return (
                f"{path} (here {_shown(value)}) is not a field{_instead(error['loc'][-1], fields)}"
            )
        case "value_error" | "assertion_error":
            reason = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            if isinstance(value, Mapping | list):
                return f"{path}: {reason}"
            return (
                f"{path}: {reason}"
                if repr(value) in reason
                else f"{path} is {_shown(value)}: {reason}"
            )
        case "literal_error":
            expected = str(error.get("ctx", {}).get("expected", ""))
            near = _nearest(str(value), re.findall(r"'([^']*)'", expected))
            hint = f"did you mean {near}?" if near else f"write {expected.replace(chr(39), '')}"
            return f"{path} is {_shown(value)}, but must be {expected}: {hint}"
    return f"{path} is {_shown(value)}, but {_rule(error)}{_meaning(field)}{_hint(error, value)}"


def _rule(error: ErrorDetails) -> str:
    """pydantic's message as the second half of a sentence."""
    if error["type"] == "string_pattern_mismatch":
        return "must have another form"
    message = error["msg"].replace(" after validation, not 0", "")
    for word, ours in _WORDS.items():
        message = message.replace(word, ours)
    message = re.sub(
        r"^(Input|String|Value|List|Tuple|Dictionary|Decimal input) should ", "must ", message
    )
    return message[0].lower() + message[1:]


def _hint(error: ErrorDetails, value: object) -> str:
    """What to write instead, where the value shows what was meant."""
    kind = error["type"]
    if kind in {"float_type", "int_type"} and isinstance(value, str):
        if _NUMBER.fullmatch(value):
            number = float(value)
            plain = f"{int(number)}" if number.is_integer() else f"{number!r}"
            return f": write it without quotes and in full, {plain}"
        return ": write a number"
    if kind == "bool_type":
        return ": write true or false"
    if kind == "tuple_type":
        return (
            f": write a list, [{_shown(value)}]"
            if not isinstance(value, Mapping)
            else ": write a list"
        )
    if kind == "model_type":
        return (
            f": write a mapping, e.g. {{name: {value}}}"
            if isinstance(value, str)
            else ": write a mapping"
        )
    return ""


def _meaning(field: FieldInfo | None) -> str:
    """The first sentence of the field's description, in brackets."""
    if field is None or not field.description:
        return ""
    first = re.split(r"\.(?:\s+(?=[A-Z])|$)|;\s", " ".join(field.description.split()), maxsplit=1)[
        0
    ]
    return f" ({first[0].lower()}{first[1:]})"


def _instead(name: object, fields: Mapping[str, FieldInfo]) -> str:
    near = _nearest(to_camel(str(name)), fields) or _nearest(str(name), fields)
    if near:
        return f": did you mean {near}?"
    return f": remove it, or use one of {', '.join(fields)}" if fields else ": remove it"


def _nearest(name: str, names: Sequence[str] | Mapping[str, FieldInfo]) -> str | None:
    """The name among `names` that `name` was probably meant to be, in any case."""
    by_case = {one.lower(): one for one in names}
    found = difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.6)
    return by_case[found[0]] if found else None


def _find(loc: Sequence[int | str]) -> tuple[dict[str, FieldInfo], FieldInfo | None]:
    """The fields known where the last part of `loc` stands, and the field it names, if it is one."""
    model: type[BaseModel] | None = PruningExperiment
    fields: dict[str, FieldInfo] = {}
    field: FieldInfo | None = None
    for part in loc:
        if isinstance(part, int):
            continue
        fields = _fields(model) if model is not None else {}
        field = fields.get(part)
        model = next(_models(field.annotation), None) if field is not None else None
    return fields, field


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models within an annotation such as tuple[GateSpec, ...] or BenchmarkSpec | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType, tuple}:
        for part in get_args(annotation):
            yield from _models(part)


def _path(loc: Sequence[int | str]) -> str:
    """spec.gates[0].maxDrop."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "the document"


def _shown(value: object) -> str:
    """The value as its author would recognise it, cut short; true and null as YAML writes them."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _kind(value: object) -> str:
    names = {"NoneType": "empty", "list": "a list", "str": "a text", "int": "a number"}
    return names.get(type(value).__name__, f"of type {type(value).__name__}")


def _not_json(value: object, path: str = "") -> tuple[str, object]:
    """Path and value of the first part of a document that JSON cannot hold."""
    if isinstance(value, Mapping):
        parts = ((f"{path}.{name}", part) for name, part in value.items())
    elif isinstance(value, list):
        parts = ((f"{path}[{i}]", part) for i, part in enumerate(value))
    else:
        return path.removeprefix("."), value
    for inner, part in parts:
        try:
            json.dumps(part, allow_nan=False)
        except (TypeError, ValueError):
            return _not_json(part, inner)
    return path.removeprefix(".") or "the document", value
