"""Nearest names: what somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from ticketsmith.experiment.problems import BadSpec


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """At most `count` of `names` that look most like `name` in any case, best first."""
    spelled = {known.casefold(): known for known in names}
    matches = get_close_matches(name.casefold(), spelled, n=count, cutoff=0.5)
    return [spelled[match] for match in matches]


def unknown(field: str, value: str, names: Iterable[str]) -> BadSpec:
    """The problem that `value` of `field` is none of `names`: tells the nearest, or all if none is near."""
    known = sorted(names)
    near = nearest(value, known)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(known)}"
    return BadSpec(f"{field} {value!r} is unknown: {remedy}")
