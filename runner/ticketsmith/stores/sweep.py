"""Clear a store of what nobody needs any more.

Each round is judged from the names and ages of its files alone, and judged again under its lock before anything goes.
What goes, goes in an order that leaves nothing half: without its result.json first, a round never looks done.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ticketsmith.experiment.results import CHECKPOINT, RESULT, WEIGHTY
from ticketsmith.experiment.retention import Claim, Claims
from ticketsmith.stores.base import Held, Store, Stored

Reason = Literal["young", "needed", "results", "unclaimed", "weights", "unfinished", "orphan"]
"""These stay: young, changed or relied on a short while ago; needed, all of it, by an experiment; results, which is all
that is left; unclaimed, since no experiment speaks of it. These go: weights of a finished round; a round that was left
unfinished; an orphan, of which no experiment speaks."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one round's files."""

    key: str
    reason: Reason
    claims: tuple[Claim, ...]
    goes: tuple[Stored, ...]
    """In the order in which they are to go."""
    stays: tuple[Stored, ...]

    @property
    def bytes(self) -> int:
        """Of what goes."""
        return sum(file.bytes for file in self.goes)

    @property
    def bytes_kept(self) -> int:
        """Of what stays."""
        return sum(file.bytes for file in self.stays)


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules by which rounds go."""

    claims: Claims
    changed_before: float
    """Unix time: a round with a file that changed later is left alone."""
    orphans: bool = False
    """Whether rounds that no experiment claims may go."""

    def judge(self, key: str, files: Sequence[Stored]) -> Verdict:
        """What becomes of the round with these files."""
        claims = self.claims.of(key)
        reason = self._reason(claims, files)
        if reason == "weights":
            goes = [file for file in files if file.name in WEIGHTY]
        else:
            goes = list(files) if reason in ("unfinished", "orphan") else []
        # A checkpoint knows of files that are there already, so it goes before them.
        goes.sort(key=lambda file: (file.name != RESULT, file.name != CHECKPOINT, file.name))
        stays = tuple(file for file in files if file not in goes)
        return Verdict(key, reason, claims, tuple(goes), stays)

    def _reason(self, claims: Sequence[Claim], files: Sequence[Stored]) -> Reason:
        names = {file.name for file in files}
        if any(file.changed_at > self.changed_before for file in files):
            return "young"
        if not claims:
            return "orphan" if self.orphans else "unclaimed"
        if claims[0].needs == "everything":
            return "needed"
        if RESULT not in names:
            return "unfinished"
        return "weights" if names & WEIGHTY else "results"


def survey(store: Store, judge: Judge) -> Iterator[Verdict]:
    """The verdict on every round in the store, by key. Nothing is changed."""
    for key, files in groupby(store.files(), key=lambda file: file.key):
        yield judge.judge(key, list(files))


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of one round that was to go."""

    verdict: Verdict
    """As it was found under the lock."""
    held: bool = False
    """A process works on it: it was left alone."""


def sweep(
    store: Store, judge: Judge, verdicts: Iterable[Verdict], told: Callable[[Swept], None]
) -> None:
    """Remove what is to go, round by round. Stopped at any point, the next sweep goes on from there.

    Raises:
        Problem: The store refuses or is away.
    """
    for verdict in verdicts:
        try:
            with store.exclusive(verdict.key, wait=False):
                found = judge.judge(verdict.key, list(store.files(verdict.key)))
                for file in found.goes:
                    store.remove(file.key, file.name)
        except Held:
            told(Swept(verdict, held=True))
        else:
            told(Swept(found))
