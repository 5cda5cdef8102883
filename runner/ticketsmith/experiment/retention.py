"""What of a store an experiment needs: all of it while it goes on, afterwards what spec.retention keeps. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ticketsmith.experiment.endings import TERMINAL
from ticketsmith.experiment.keys import training_keys
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.experiment.status import RoundStatus, Status
from ticketsmith.experiment.steps import round_name

Need = Literal["everything", "results"]
"""everything, or all but the weights."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one experiment needs of one round."""

    label: str
    """Names the experiment to people."""
    round: str
    """Its name in that experiment."""
    needs: Need
    why: str
    """In words that follow the label, e.g. goes on."""


@dataclass(slots=True)
class Claims:
    """Every experiment's claims, by the key of the round."""

    by_key: dict[str, list[Claim]] = field(default_factory=dict)

    def of(self, key: str) -> tuple[Claim, ...]:
        """Who claims the round; whoever needs everything comes first."""
        return tuple(sorted(self.by_key.get(key, ()), key=lambda one: one.needs != "everything"))

    def add(self, label: str, rounds: Mapping[str, str], needs: Need, why: str) -> None:
        """One experiment's claim to these rounds, names by their keys."""
        for key, name in rounds.items():
            self.by_key.setdefault(key, []).append(Claim(label, name, needs, why))


def claim(
    claims: Claims, label: str, experiment: PruningExperiment, runner_version: str, *, here: bool
) -> None:
    """Add what `experiment` needs.

    Args:
        here: Whether the store is the experiment's own. In another one its retention removes nothing.

    Raises:
        ValueError: The status holds a line that cannot be read.
    """
    status = experiment.status or Status()
    rounds = recall(status.rounds, status.ledger)
    named = named_rounds(rounds)
    if status.phase not in TERMINAL:
        ahead = training_keys(experiment, rounds, runner_version)
        claims.add(label, {key: name for name, key in ahead} | named, "everything", "goes on")
        return
    mode = experiment.spec.retention.keep_checkpoints
    if mode == "all" or not here:
        why = "keepCheckpoints is all" if here else "keeps its artifacts elsewhere"
        claims.add(label, named, "everything", why)
        return
    wanted = _kept(mode, status, rounds, experiment)
    if wanted is None:
        claims.add(
            label, named, "everything", f"keepCheckpoints is {mode}, but its best is unknown"
        )
        return
    for key, name in named.items():
        needs: Need = "everything" if key in wanted else "results"
        claims.add(label, {key: name}, needs, f"keepCheckpoints is {mode}")


def named_rounds(rounds: Mapping[str, RoundStatus]) -> dict[str, str]:
    """The rounds that a status speaks of: names by their keys."""
    return {known.key: known.name for known in rounds.values() if known.key is not None}


def _kept(
    mode: Literal["best", "last"],
    status: Status,
    rounds: Mapping[str, RoundStatus],
    experiment: PruningExperiment,
) -> Collection[str] | None:
    """Keys of the rounds whose weights stay; None if the status contradicts itself.

    A kept ticket comes with its seed's dense network, which it rewinds to and is timed against. Where no ticket
    passed, the dense networks are all that was won.
    """
    names: dict[int, str]
    if mode == "last":
        passed = [one for one in rounds.values() if _has_passed(one)]
        passed.sort(key=lambda one: one.level or 0)
        names = {
            one.seed: one.name for one in passed if one.seed is not None
        }  # the deepest is last
    elif status.best is None:
        names = {}
    else:
        best = rounds.get(status.best.round)
        if best is None or best.seed is None or best.key is None:
            return None
        names = {best.seed: best.name}
    dense = [round_name("dense", seed, 0) for seed in names or experiment.spec.seeds]
    found = (rounds.get(name) for name in (*names.values(), *dense))
    return {known.key for known in found if known is not None and known.key is not None}


def _has_passed(known: RoundStatus) -> bool:
    return known.arm == "ticket" and known.state == "Done" and known.gate != "failed"
