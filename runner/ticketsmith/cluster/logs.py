"""What the Pods of a round printed, line by line, whatever cuts the stream."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ticketsmith.cluster.kube import Body, Kube
from ticketsmith.cluster.problems import ClusterProblem, NotThere
from ticketsmith.experiment.labels import ATTEMPT_LABEL, EXPERIMENT_LABEL, ROUND_LABEL, UID_LABEL
from ticketsmith.experiment.results import Progress

LOOK_SECONDS = 2.0
"""How often is looked for a Pod that is not there yet, or replaces another."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a round of one experiment; with `number` None all of them."""

    experiment: str
    uid: str
    round: str
    number: int | None = None

    @property
    def labels(self) -> dict[str, str]:
        """What its Pods carry."""
        found = {EXPERIMENT_LABEL: self.experiment, UID_LABEL: self.uid, ROUND_LABEL: self.round}
        return found | ({} if self.number is None else {ATTEMPT_LABEL: str(self.number)})


@dataclass(slots=True)
class Bookmark:
    """The last moment a Pod's log was read to, and how many of its lines bore it."""

    moment: str | None = None
    lines: int = 0


@dataclass(slots=True)
class Reader:
    """Reads the logs of a round's Pods, each line once."""

    kube: Kube
    attempt: Attempt
    _read: dict[str, Bookmark] = field(default_factory=dict)

    def now(self) -> Iterator[str]:
        """What all its Pods have printed so far, attempt by attempt, oldest Pod first."""
        for pod in sorted(self.kube.pods(self.attempt.labels), key=_attempt_of):
            yield from self._lines(pod, follow=False)

    def follow(self, is_over: Callable[[], bool], pause: Callable[[float], Any]) -> Iterator[str]:
        """Lines as they come, from every Pod that comes, until `is_over`. A stream that breaks is taken up where it
        broke; ClusterProblem if reading is forbidden."""
        finished: set[str] = set()
        while True:
            was_over = is_over()  # asked first: the last words may come after the end is known
            try:
                for pod in sorted(self.kube.pods(self.attempt.labels), key=_attempt_of):
                    name = pod["metadata"]["name"]
                    if name not in finished:
                        yield from self._lines(pod, follow=True)
                        if pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
                            finished.add(name)
            except ClusterProblem as problem:
                if problem.code == 403:
                    raise
            if was_over:
                return
            pause(LOOK_SECONDS)

    def _lines(self, pod: Body, *, follow: bool) -> Iterator[str]:
        """New lines of one Pod; none if its container has not started, or is gone."""
        name = pod["metadata"]["name"]
        mark = self._read.setdefault(name, Bookmark())
        try:
            yield from unread(self.kube.log(name, follow=follow, since=mark.moment), mark)
        except NotThere:
            return
        except ClusterProblem as problem:
            if problem.code != 400:  # 400: the container waits to start
                raise


def unread(lines: Iterable[tuple[str, str]], mark: Bookmark) -> Iterator[str]:
    """The texts that come after the bookmark, which moves along. Many lines may bear the same moment."""
    read_to, there = mark.moment, mark.lines
    for moment, text in lines:
        if read_to is not None and _order(moment) < _order(read_to):
            continue
        if moment == read_to and there > 0:
            there -= 1
            continue
        mark.lines = mark.lines + 1 if moment == mark.moment else 1
        mark.moment = moment
        yield text


def read_progress(line: str) -> Progress | None:
    """The document a round running with `--progress json` printed; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        return Progress.model_validate_json(line)
    except ValidationError:
        return None


def _attempt_of(pod: Body) -> int:
    return int(pod["metadata"]["labels"].get(ATTEMPT_LABEL, 0))


def _order(moment: str) -> str:
    """RFC 3339 with its fraction at full length, so that texts compare as moments do."""
    seconds, _, fraction = moment.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<9}"
