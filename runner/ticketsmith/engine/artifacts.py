"""What rounds leave in the store and read from each other, always against the SHA-256 its round answered with."""

from pathlib import Path

from pydantic import ValidationError

from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import RESULT, WEIGHTY
from ticketsmith.stores.base import Store
from ticketsmith.stores.files import told


def finished(store: Store, key: str) -> RoundResult | None:
    """The answer of a round that is done, or None; BadSpec if its result.json cannot be read."""
    text = store.read_text(key, RESULT)
    if text is None:
        return None
    try:
        result = RoundResult.model_validate_json(text)
    except ValidationError as error:
        raise BadSpec(
            f"{key}/{RESULT} in {store.uri} is damaged ({error.error_count()} errors):"
            " remove it to have the round done again"
        ) from error
    if result.key != key:
        raise BadSpec(
            f"{key}/{RESULT} in {store.uri} belongs to round {result.key}:"
            " remove it to have the round done again"
        )
    return result


def parent(store: Store, key: str | None, role: str) -> RoundResult:
    """The answer of the round that `parents.<role>` names; BadSpec if it is not named or not done."""
    if key is None:
        raise BadSpec(f"parents.{role} is missing: name the key of the round it stands for")
    result = finished(store, key)
    if result is None:
        raise BadSpec(
            f"parents.{role} is {key}, which has no {RESULT} in {store.uri}: run that round first"
        )
    return result


def fetch(store: Store, result: RoundResult, name: str) -> Path:
    """A local path of a finished round's file; BadSpec names a file that is missing or not what it was."""
    sha256 = result.files.get(name)
    if sha256 is None:
        raise BadSpec(
            f"round {result.key} ({result.arm}) left no {name} in {store.uri}:"
            " name a round that has it, or remove its folder to have it done again"
        )
    try:
        return store.fetch(result.key, name, sha256)
    except BadSpec:
        if name not in WEIGHTY or any(file.name == name for file in store.files(result.key)):
            raise
        raise BadSpec(
            f"{name} of round {result.key} ({result.arm}) is in {store.uri} no more, as ticketsmith gc removes weights "
            "that no experiment keeps: name a round that has its weights, e.g. that of status.best.artifact"
        ) from None


def put_text(store: Store, key: str, name: str, text: str) -> str:
    """Take a text into the store, replacing what was there; returns its SHA-256 (hex)."""
    file = store.scratch(key) / name
    with told("write", file):
        file.write_text(text, encoding="utf-8")
    return store.put(key, name, file)
