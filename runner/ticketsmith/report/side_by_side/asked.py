"""What several experiments ask for differently, field by field. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticketsmith.experiment.spec import ExperimentSpec

_PASSING = ("limits", "runner", "artifacts", "suspend")
"""Where and how far, not what: these decide no result."""
UNSET = "null"


@dataclass(frozen=True, slots=True)
class Asked:
    """One field whose value differs."""

    field: str
    """E.g. spec.pruning.scope."""
    values: tuple[str, ...]
    """Of each experiment, as YAML would take them."""
    decides: bool
    """Whether results depend on it."""


def asked(specs: Sequence[ExperimentSpec]) -> tuple[Asked, ...]:
    """Fields that differ, those that decide results first."""
    flat = [dict(_leaves(spec.document(), "spec")) for spec in specs]
    fields = dict.fromkeys(field for one in flat for field in one)
    found = [
        Asked(field, tuple(_told(one.get(field)) for one in flat), _decides(field))
        for field in fields
        if len({json.dumps(one.get(field), sort_keys=True) for one in flat}) > 1
    ]
    return tuple(sorted(found, key=lambda one: not one.decides))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value below, by its path; a list is one value."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}")
    else:
        yield path, value


def _told(value: Any) -> str:
    if value is None:
        return UNSET
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _decides(field: str) -> bool:
    return field.split(".")[1] not in _PASSING
