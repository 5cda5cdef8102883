"""The options of `dataset.options`: one closed model, with defaults that differ from set to set."""

from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ticketsmith.experiment.base import Document
from ticketsmith.experiment.problems import BadSpec

Count = Annotated[int, Field(ge=1)]

Chosen = TypeVar("Chosen", bound="Options")


class Options(Document):
    """How a data set is divided and shown to the network."""

    model_config = ConfigDict(strict=True)

    validation: Count | None = None
    """Images held out of the training set, the same ones for every seed; null holds out a tenth, or takes
    the validation set the source has."""
    augment: bool = False
    """Train on images mirrored at random, and cropped at random out of a border of 4 zero pixels."""
    size: int | None = Field(None, ge=1, le=4096)
    """Resize to size x size pixels; null keeps the size they have."""
    limit: Count | None = None
    """Train on this many images only, chosen once and for all; validation and test stay whole."""
    grayscale: bool = False
    """One channel (luminance) if true, three if false."""


def read_options(name: str, model: type[Chosen], given: dict[str, Any]) -> Chosen:
    """The options of data set `name`; BadSpec names the first that is wrong."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["dataset.options", *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            known = ", ".join(to_camel(field) for field in model.model_fields)
            raise BadSpec(f"{field} is not an option of {name}: it takes {known}") from None
        raise BadSpec(f"{field} is {first['input']!r}: {first['msg'].lower()}") from None
