"""Saved networks to be timed: found by key in a store, or named as folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from torch import Tensor, nn

from ticketsmith.engine import models, tensors
from ticketsmith.engine.artifacts import fetch, finished
from ticketsmith.experiment.contract import RoundResult, TrainRound, read_round
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import LAYERS, RESULT, SPEC, WEIGHTS, Layers
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Store


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished training round and the network it saved."""

    round: TrainRound
    result: RoundResult
    weights: dict[str, Tensor]
    """On the CPU."""
    prunable: tuple[str, ...]
    """Names of the tensors that pruning could have touched."""

    def model(self, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """The network with its saved weights, on the CPU; a new one at each call."""
        model = models.build(self.round.model, input_shape, num_classes)
        tensors.load_into(model, self.weights, f"{self.result.key}/{WEIGHTS}")
        return model


def load(store: Store, key: str) -> Artifact:
    """Read an artifact; BadSpec names what is missing, damaged or no training round's."""
    result = finished(store, key)
    if result is None:
        raise BadSpec(
            f"artifact {key} has no {RESULT} in {store.uri}: run its round to the end first"
        )
    text = store.read_text(key, SPEC)
    if text is None:
        raise BadSpec(f"artifact {key} has no {SPEC} in {store.uri}: run its round again")
    try:
        told = read_round(text)
        layers = Layers.model_validate_json(store.read_text(key, LAYERS) or "{}")
    except ValidationError as error:
        raise BadSpec(
            f"artifact {key} in {store.uri}: {error.title} is damaged or missing "
            f"({error.errors()[0]['msg']}): run its round again"
        ) from error
    if not isinstance(told, TrainRound):
        raise BadSpec(
            f"artifact {key} is a {told.kind} round, which has no network to time: name a ticket's"
        )
    return Artifact(
        round=told,
        result=result,
        weights=tensors.read(fetch(store, result, WEIGHTS)),
        prunable=tuple(layer.name for layer in layers.layers),
    )


def open_artifact(folder: Path) -> tuple[Store, str]:
    """The store and the key of an artifact named as `<store>/<key>`; BadSpec if it is none."""
    path = folder.resolve()
    if not (path / RESULT).is_file():
        raise BadSpec(
            f"{str(folder)!r} is no finished artifact (it has no {RESULT}): name a folder <store>/<key>, "
            "e.g. runs/store/0123456789abcdef"
        )
    return open_store(str(path.parent)), path.name


def dense_of(artifact: Artifact, store: Store) -> Artifact:
    """The dense network that the artifact was pruned from; itself, where it is dense."""
    if artifact.round.arm == "dense":
        return artifact
    key = artifact.round.parents.dense
    if key is None:
        raise BadSpec(
            f"artifact {artifact.result.key} does not say which dense round it came from: name it with --dense"
        )
    return load(store, key)


def refuse_mixed(dense: Artifact, others: Sequence[Artifact]) -> None:
    """BadSpec if a network is of another kind than the dense one: their times could not be compared."""
    for other in others:
        for field in ("model", "dataset"):
            mine, its = getattr(dense.round, field).name, getattr(other.round, field).name
            if getattr(dense.round, field) != getattr(other.round, field):
                raise BadSpec(
                    f"artifact {other.result.key} has {field} {its!r}, and the dense one {dense.result.key} has "
                    f"{mine!r} or other options: time networks of one {field} together"
                )
