"""What dense networks are known to reach, to tell an undertrained baseline from a good one. See known.json."""

import json
from functools import cache
from importlib.resources import files

from pydantic import Field, TypeAdapter

from ticketsmith.experiment.base import Document

UNDERTRAINED_BELOW = 0.02
"""A dense mean further than this below the known level is called undertrained (0.02 is two points)."""


class KnownLevel(Document):
    """A published test accuracy of a dense network."""

    dataset: str
    model: str
    accuracy: float = Field(gt=0, lt=1)
    source: str
    """Who measured it."""


@cache
def known_levels() -> tuple[KnownLevel, ...]:
    """The whole table."""
    text = files(__package__).joinpath("known.json").read_text(encoding="utf-8")
    return TypeAdapter(tuple[KnownLevel, ...]).validate_python(json.loads(text))


def known_level(model: str, dataset: str) -> KnownLevel | None:
    """The level known for this network on this data, names in any case; None where none is known."""
    wanted = (_plain(model), _plain(dataset))
    return next(
        (
            known
            for known in known_levels()
            if (_plain(known.model), _plain(known.dataset)) == wanted
        ),
        None,
    )


def _plain(name: str) -> str:
    """ResNet-20, resnet_20 and resnet20 are one network."""
    return name.casefold().replace("-", "").replace("_", "")
