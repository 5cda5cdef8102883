"""The one base of every document: frozen, camelCase outside, and closed to unknown fields."""

import hashlib
import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

API_VERSION: Final = "ticketsmith.dev/v1alpha1"
KIND: Final = "PruningExperiment"


class Document(BaseModel):
    """A value that never changes and refuses what it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # tracebacks are logged, and an input may be a secret
    )

    def document(self) -> dict[str, Any]:
        """The value as plain JSON types, camelCase, without fields that are unset (None); reads back equal."""
        plain = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        _say_meant_nulls(self, plain)
        return plain


def _say_meant_nulls(value: Document, plain: dict[str, Any]) -> None:
    """Put null where None is not the default: left out, it would read back as the default."""
    for name, field in type(value).model_fields.items():
        inner, alias = getattr(value, name), field.alias or name
        if isinstance(inner, Document):
            _say_meant_nulls(inner, plain[alias])
        elif inner is None and field.default is not None and not field.is_required():
            plain[alias] = None


def canonical_json(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(value: Any, digits: int = 16) -> str:
    """The first hex digits of SHA-256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]
