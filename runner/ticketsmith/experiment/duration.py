"""How long training goes on: `20ep`, `50000it`, or both added, `10ep50it`."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

PATTERN = r"^([0-9]{1,7}ep([0-9]{1,9}it)?|[0-9]{1,9}it)$"
"""Without look-ahead, so that Kubernetes' regular expressions read it too."""
_FORM = re.compile(r"(?=[0-9])(?:([0-9]{1,7})ep)?(?:([0-9]{1,9})it)?")


@dataclass(frozen=True, order=False, slots=True)
class Duration:
    """A number of epochs plus a number of iterations (optimizer steps)."""

    epochs: int = 0
    iterations: int = 0

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read `20ep`, `500it` or `10ep50it`; ValueError names the form on anything else."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a duration: write epochs (20ep), iterations (50000it) or both (10ep50it)"
            )
        return cls(int(match[1] or 0), int(match[2] or 0))

    def total(self, iterations_per_epoch: int) -> int:
        """The whole length in optimizer steps, for a data set of `iterations_per_epoch` batches."""
        return self.epochs * iterations_per_epoch + self.iterations

    @property
    def is_zero(self) -> bool:
        return self.epochs == 0 and self.iterations == 0

    def __str__(self) -> str:
        epochs = f"{self.epochs}ep" if self.epochs else ""
        iterations = f"{self.iterations}it" if self.iterations or not self.epochs else ""
        return epochs + iterations

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        from_text = core_schema.chain_schema(
            [
                core_schema.str_schema(strict=True),
                core_schema.no_info_plain_validator_function(cls.parse),
            ]
        )
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema(
                [core_schema.is_instance_schema(cls), from_text], mode="left_to_right"
            ),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        del schema, handler
        return {"type": "string", "pattern": PATTERN, "maxLength": 20}


def _refuse_zero(value: Duration) -> Duration:
    if value.is_zero:
        raise ValueError("a duration of zero trains nothing: write at least 1it")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_refuse_zero)]
