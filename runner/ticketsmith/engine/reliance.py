"""What a round needs of finished rounds: they are noted as in use, and what `ticketsmith gc` took is made again.

A round's weights follow from its spec, its mask and the dense network's rewind weights, so they can be made once more.
They count only if their SHA-256 is the one that the round answered with.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ticketsmith.engine import arms, tensors
from ticketsmith.engine.artifacts import finished
from ticketsmith.engine.attempt import StoredAttempt
from ticketsmith.engine.conduct import Means, conduct
from ticketsmith.engine.environment import environment
from ticketsmith.engine.publish import Work, trained_weights
from ticketsmith.engine.stopping import StopSignals
from ticketsmith.experiment.contract import RoundResult, TrainRound, read_round
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import (
    CHECKPOINT,
    ENVIRONMENT,
    FINAL,
    REWIND,
    SPEC,
    USED,
    WEIGHTS,
    WEIGHTY,
    Environment,
    Progress,
)
from ticketsmith.stores.base import Store
from ticketsmith.stores.files import sha256_of


def needed_of_parents(task: TrainRound) -> Iterator[tuple[str, Collection[str]]]:
    """The rounds that `task` reads from, and which of their weights it needs."""
    parents, arm = task.parents, task.arm
    wanted: list[tuple[str | None, Collection[str]]] = [
        (parents.dense, (REWIND,) if arm in ("ticket", "random") else ()),
        (parents.scored, (FINAL, WEIGHTS)),
        (parents.ticket, ()),
    ]
    yield from ((key, names) for key, names in wanted if key is not None)


class Reliance:
    """Sees to it that what a round reads from other rounds is there."""

    def __init__(
        self,
        round_name: str,
        store: Store,
        progress: Callable[[Progress], None],
        device: torch.device,
        stop: StopSignals,
    ) -> None:
        """`round_name` is the round that needs the others: progress is told in its name."""
        self._round_name = round_name
        self._store = store
        self._progress = progress
        self._device = device
        self._stop = stop

    def on(self, key: str, names: Collection[str]) -> None:
        """Note that the round is in use, and make again what is missing of its files `names`.

        A round that is not done, or never had such files, is left to whoever reads from it. BadSpec if a file cannot
        be made again as it was.
        """
        result = finished(self._store, key)
        if result is None:
            return
        self._store.touch(key, USED)
        if not self._gone(result, names):
            return
        with self._store.exclusive(key):  # another may make it again at this moment
            gone = self._gone(result, names) and self._gone(result, WEIGHTY)
            if gone:
                self._make_again(result, gone)

    def _gone(self, result: RoundResult, names: Collection[str]) -> set[str]:
        there = {file.name for file in self._store.files(result.key)}
        return {name for name in names if name in result.files and name not in there}

    def _make_again(self, result: RoundResult, gone: Collection[str]) -> None:
        task, then = self._documents(result)
        self._progress(Progress(round=self._round_name, doing="restoring"))
        if task.arm == "ticket" and task.parents.dense is not None:
            self.on(task.parents.dense, (REWIND,))
        if REWIND in gone:
            # A checkpoint from after that step would not pass it again.
            self._store.remove(result.key, CHECKPOINT)
        attempt = _Again(self._round_name, result, self._store, self._progress, self._stop)
        with _threads(then.threads):
            now = environment(self._device)
            try:
                if now.device != then.device:
                    raise _Differs(next(iter(gone)))
                conduct(
                    task,
                    Means(attempt, self._device, self._stop),
                    partial(arms.begin_again, task, result, self._store),
                    partial(self._put_back, result, gone),
                    keep_rewind=REWIND in gone,
                )
            except _Differs as differs:
                self._store.remove(
                    result.key, CHECKPOINT
                )  # of no use to a machine that does better
                raise BadSpec(
                    f"{differs} of the {result.arm} round {result.key} was removed by ticketsmith gc, and cannot be "
                    f"made again here to the bit ({_changes(then, now)}): {self._redo(result.key)}"
                ) from differs
        self._store.remove(result.key, CHECKPOINT)

    def _documents(self, result: RoundResult) -> tuple[TrainRound, Environment]:
        """What the round was told, and what it was made with."""
        key = result.key
        try:
            task = read_round(self._store.read_text(key, SPEC) or "")
            then = Environment.model_validate_json(self._store.read_text(key, ENVIRONMENT) or "")
        except ValidationError as error:
            raise BadSpec(
                f"round {key} lacks weights, and its {SPEC} or {ENVIRONMENT} is damaged or missing: {self._redo(key)}"
            ) from error
        if not isinstance(task, TrainRound):
            raise BadSpec(f"{key} in {self._store.uri} is a {task.kind} round: it trains nothing")
        return task, then

    def _put_back(self, result: RoundResult, gone: Collection[str], done: Work) -> None:
        for name, state in trained_weights(done):
            if name in gone:
                _put_back(result, name, state, self._store)

    def _redo(self, key: str) -> str:
        return f"remove {self._store.uri}/{key} and run the experiment again"


class _Differs(Exception):
    """A file came out, or is sure to come out, other than it was; the file's name."""


class _Again(StoredAttempt):
    """Trains a finished round once more."""

    doing = "restoring"

    def __init__(
        self,
        round_name: str,
        result: RoundResult,
        store: Store,
        tell: Callable[[Progress], None],
        stop: StopSignals,
    ) -> None:
        super().__init__(round_name, result.key, store, tell, stop)
        self._result = result

    def keep(self, model: nn.Module) -> str:
        """See Attempt.keep."""
        return _put_back(self._result, REWIND, model.state_dict(), self._store)


def _put_back(result: RoundResult, name: str, state: dict[str, Tensor], store: Store) -> str:
    """Store a file that was made again; _Differs, and nothing stored, if it is not what it was. Returns its SHA-256."""
    file = tensors.write(state, store.scratch(result.key) / name)
    if sha256_of(file) != result.files[name]:
        raise _Differs(name)
    return store.put(result.key, name, file)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Inside, compute with that many threads: sums depend on it to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _changes(then: Environment, now: Environment) -> str:
    """What is known to be other than it was."""
    fields = ("device", "processor", "platform", "cuda", "torch", "ticketsmith")
    known = [
        f"{name} {getattr(now, name)}, was {getattr(then, name)}"
        for name in fields
        if getattr(now, name) != getattr(then, name)
    ]
    known += [
        f"{name} {now.packages.get(name)}, was {version}"
        for name, version in then.packages.items()
        if now.packages.get(name) != version
    ]
    return "; ".join(known) or "some kernels of this device are not exact"
