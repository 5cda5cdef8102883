"""Watch an experiment on a cluster until it ends, whatever happens to the connection meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from ticketsmith.cluster.kube import Body, Kube
from ticketsmith.cluster.logs import Attempt, Reader, read_progress
from ticketsmith.cluster.problems import ClusterProblem, NotThere
from ticketsmith.cluster.resource import Seen, Unreadable, look
from ticketsmith.cluster.translate import show, tellings
from ticketsmith.experiment.decision import Event
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import Step
from ticketsmith.experiment.view import View

PATIENCE_SECONDS = 600.0
"""How long the cluster may be out of reach before the watch is given up."""
UNANSWERED_SECONDS = 20.0
"""After this long without a status it is said that no operator seems to run."""
_RETRY_SECONDS = 1.0
_READERS = 16
"""Rounds whose logs are read at once."""

News = Seen | Progress | Event | Exception


def follow(kube: Kube, seen: Seen, steps: Sequence[Step], view: View) -> Seen:
    """Tell `view` how the experiment goes on from `seen`; returns the look at which it has ended.

    Ctrl-C ends the watching, never the experiment.

    Raises:
        ClusterProblem: it was deleted, or the cluster stayed out of reach.
    """
    inbox: SimpleQueue[News] = SimpleQueue()
    readers = _Readers(kube, seen, inbox.put)
    threading.Thread(target=_watch, args=(kube, seen, inbox.put), daemon=True).start()
    told = seen.status or Status()
    show(view, tellings(None, told, steps))
    try:
        while not seen.has_ended:
            readers.attend(told)
            match _next(inbox, seen):
                case Seen() as seen:
                    after = seen.status or told
                    show(view, tellings(told, after, steps))
                    told = after
                case Progress() as progress:
                    view.progressed(progress)
                case Event() as event:
                    view.happened(event)
                case Exception() as error:
                    raise error
    finally:
        readers.attend(Status())
    return seen


def states(
    kube: Kube,
    seen: Seen,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[Seen | Event]:
    """The experiment after each change, for good. Every gap ends with a fresh read, so nothing can be missed for
    long; a gap that people would notice is told.

    Raises:
        ClusterProblem: it was deleted, or the cluster stayed out of reach.
    """
    heard, lost = now(), False
    while True:
        try:
            found = _same(kube.experiment(seen.name), seen)
            if lost:
                yield Event("Normal", "ClusterBack", "The cluster answers again")
            heard, lost = now(), False
            yield look(found)
            for kind, body in kube.watch(found):
                heard = now()
                if kind == "DELETED":
                    raise _deleted(seen)
                yield look(_same(body, seen))
        except NotThere as absent:
            raise _deleted(seen) from absent
        except (_Deleted, Unreadable):
            raise
        except ClusterProblem as problem:
            if now() - heard > PATIENCE_SECONDS:
                raise
            if problem.code != 410 and not lost:
                lost = True
                yield Event(
                    "Warning", "ClusterLost", f"{problem}. The experiment goes on; trying again"
                )
        pause(_RETRY_SECONDS)


class _Deleted(ClusterProblem):
    """There is nothing to watch any more."""


def _deleted(seen: Seen) -> _Deleted:
    return _Deleted(
        f"{seen.name} was deleted while it was watched: its finished rounds stay in the artifact store, "
        "and submitting the file again goes on from them"
    )


def _same(body: Body, seen: Seen) -> Body:
    if body["metadata"]["uid"] != seen.uid:
        raise _deleted(seen)
    return body


def _next(inbox: "SimpleQueue[News]", seen: Seen) -> News:
    if seen.status is not None:
        return inbox.get()
    try:
        return inbox.get(timeout=UNANSWERED_SECONDS)
    except Empty:
        return Event(
            "Warning",
            "Unanswered",
            "No operator has taken it up yet: see that one runs and serves this namespace "
            "(kubectl get deployments -A | grep ticketsmith)",
        )


def _watch(kube: Kube, seen: Seen, tell: Callable[[News], None]) -> None:
    """Runs in a thread of its own: a stream that is being read cannot be waited for together with others."""
    try:
        for news in states(kube, seen):
            tell(news)
            if isinstance(news, Seen) and news.has_ended:
                return
    except Exception as error:
        tell(error)  # whoever waits for news must hear of this too, or would wait for good


@dataclass
class _Readers:
    """A thread for each running round that reads its progress from its Pod's log, as far as that may be read."""

    kube: Kube
    seen: Seen
    tell: Callable[[News], None]
    _over: dict[tuple[str, int], threading.Event] = field(default_factory=dict)
    _forbidden: threading.Event = field(default_factory=threading.Event)

    def attend(self, status: Status) -> None:
        """Read the logs of what runs, and of nothing else."""
        rounds = recall(status.rounds, status.ledger).values()
        running = {(one.name, one.attempts) for one in rounds if one.state == "Running"}
        for key in self._over.keys() - running:
            self._over.pop(key).set()
        for key in sorted(running - self._over.keys()):
            if len(self._over) < _READERS and not self._forbidden.is_set():
                self._over[key] = over = threading.Event()
                threading.Thread(target=self._read, args=(*key, over), daemon=True).start()

    def _read(self, name: str, number: int, over: threading.Event) -> None:
        attempt = Attempt(self.seen.name, self.seen.uid, name, number)
        try:
            for line in Reader(self.kube, attempt).follow(over.is_set, over.wait):
                progress = read_progress(line)
                if progress is not None and not over.is_set():
                    self.tell(progress)
        except ClusterProblem as problem:
            if not self._forbidden.is_set():
                self._forbidden.set()
                self.tell(
                    Event("Normal", "NoLiveProgress", f"Rounds are shown without epochs: {problem}")
                )
