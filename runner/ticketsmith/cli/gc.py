"""ticketsmith gc: remove from a store what no experiment needs any more; by default only say what that would be."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ticketsmith.cli.columns import columns
from ticketsmith.cli.living import Sources, claims_of
from ticketsmith.cli.output import Form, people, say, write
from ticketsmith.cli.words import plural, size
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.local.rundir import run_directories
from ticketsmith.stores import open_store
from ticketsmith.stores.sweep import Judge, Reason, Swept, Verdict, survey, sweep

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_STAYS: dict[Reason, str] = {
    "needed": "needed by an experiment",
    "results": "results and masks",
    "young": "changed or used within {age}",
    "unclaimed": "of no experiment that was named; --orphans removes them",
}
_GOES: dict[Reason, str] = {
    "weights": "weights",
    "unfinished": "all of it, unfinished",
    "orphan": "all of it",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the store."""

    sources: Sources
    older_than: str = "7d"
    orphans: bool = False
    yes: bool = False
    form: Form | None = None


def collect(address: str, options: Options) -> None:
    """Say what of the store would go, or with `yes` remove it. Problem if anything needed for that cannot be read."""
    age = read_age(options.older_than)
    store = open_store(address)
    sources = _sources(options.sources, address)
    console = people(options.form)
    # The clock is read first: what changes while experiments are being read is young then.
    changed_before = time.time() - age
    with _busy(console, "Reading experiments ..."):
        living = claims_of(sources, store.uri)
    judge = Judge(living.claims, changed_before, options.orphans)
    with _busy(console, f"Listing {store.uri} ..."):
        verdicts = list(survey(store, judge))
    going = [verdict for verdict in verdicts if verdict.goes]
    done: list[Swept] = []
    if options.yes:
        with _busy(console, "Removing ...") as busy:

            def told(swept: Swept) -> None:
                done.append(swept)
                if busy is not None:
                    busy.update(f"Removing: {len(done)} of {plural(len(going), 'round')} ...")

            sweep(store, judge, going, told)
    if options.form is not None:
        write(_document(store.uri, verdicts, done, removed=options.yes), options.form)
        return
    if not verdicts:
        say(console, f"{store.uri} holds no round.")
        return
    say(console, f"{store.uri}, which {plural(living.experiments, 'experiment')} may use:", "")
    _show_going(console, [one.verdict for one in done if not one.held] if options.yes else going)
    _show_staying(console, verdicts, options.older_than)
    say(console, "", *_conclusion(going, done, options))


def read_age(text: str) -> float:
    """Seconds of an age like 36h or 7d; BadSpec for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])|0", text)
    if found is None:
        raise BadSpec(
            f"--older-than is {text!r}: write a number with s, m, h, d or w behind it, e.g. 36h or 7d"
        )
    return 0.0 if text == "0" else float(int(found[1]) * _SECONDS[found[2]])


def _sources(given: Sources, address: str) -> Sources:
    """Where the command line says that experiments are, else the run directories beside a store in a folder."""
    if given.runs or given.files or given.cluster:
        return given
    beside = Path(address).absolute().parent
    if "://" not in address and beside.is_dir() and run_directories(beside):
        return Sources(runs=[beside])
    raise BadSpec(
        "nobody says which experiments use this store: name their run directories with --runs DIR, their cluster with "
        "--cluster, or a file with --experiments FILE (kubectl get pex -A -o json)"
    )


def _busy(console: Console, words: str) -> AbstractContextManager[Any]:
    return console.status(words) if console.is_terminal else nullcontext()


def _show_going(console: Console, verdicts: Sequence[Verdict]) -> None:
    going = [verdict for verdict in verdicts if verdict.goes]
    if not going:
        return
    head = ("KEY", "ROUND", "WHAT", "SIZE", "EXPERIMENT", "WHY")
    rows = [_row(verdict) for verdict in going]
    say(console, *columns(head, rows, right=frozenset({3})), "")


def _row(verdict: Verdict) -> tuple[str, ...]:
    claim = next(iter(verdict.claims), None)
    named, *others = list(dict.fromkeys(claim.label for claim in verdict.claims)) or ["-"]
    more = f" and {len(others)} more" if others else ""
    return (
        verdict.key,
        claim.round if claim is not None else "-",
        _GOES[verdict.reason],
        size(verdict.bytes),
        named + more,
        claim.why if claim is not None else "no experiment speaks of it",
    )


def _show_staying(console: Console, verdicts: Sequence[Verdict], age: str) -> None:
    """How much stays, and why, a line a reason."""
    staying = [verdict for verdict in verdicts if verdict.stays]
    rounds, total = len(staying), sum(verdict.bytes_kept for verdict in staying)
    say(console, f"{plural(rounds, 'round')} stay{'s' if rounds == 1 else ''}, {size(total)}:")
    for words, count, kept in _groups(staying, age):
        say(console, f"  {plural(count, 'round')}, {size(kept)}: {words}")


def _groups(staying: Sequence[Verdict], age: str) -> Iterator[tuple[str, int, int]]:
    counts, kept = Counter[Reason](), Counter[Reason]()
    for verdict in staying:
        # What weights are taken from keeps its results.
        reason: Reason = "results" if verdict.goes else verdict.reason
        counts[reason] += 1
        kept[reason] += verdict.bytes_kept
    for reason, words in _STAYS.items():
        if counts[reason]:
            yield words.format(age=age), counts[reason], kept[reason]


def _conclusion(going: Sequence[Verdict], done: Sequence[Swept], options: Options) -> Iterator[str]:
    if not options.yes:
        found = sum(verdict.bytes for verdict in going)
        if going:
            yield (
                f"{size(found)} of {plural(len(going), 'round')} would go. This was a dry run and nothing was removed: "
                "add --yes to do it."
            )
        else:
            yield "There is nothing to remove."
        return
    removed = [one.verdict for one in done if not one.held and one.verdict.goes]
    yield f"Removed {size(sum(one.bytes for one in removed))} of {plural(len(removed), 'round')}."
    held = [one.verdict.key for one in done if one.held]
    if held:
        yield f"{plural(len(held), 'round')} left alone, since a process works there: {', '.join(held)}."


def _document(
    store: str, verdicts: Sequence[Verdict], done: Sequence[Swept], *, removed: bool
) -> dict[str, Any]:
    """The same for programs."""
    held = {one.verdict.key for one in done if one.held}
    found = {one.verdict.key: one.verdict for one in done if not one.held}
    rounds = [found.get(verdict.key, verdict) for verdict in verdicts]
    return {
        "store": store,
        "dryRun": not removed,
        "bytes": sum(verdict.bytes for verdict in rounds if verdict.key not in held),
        "rounds": [
            {
                "key": verdict.key,
                "reason": verdict.reason,
                "experiments": list(dict.fromkeys(claim.label for claim in verdict.claims)),
                "goes": [] if verdict.key in held else [file.name for file in verdict.goes],
                "bytes": 0 if verdict.key in held else verdict.bytes,
                "bytesKept": verdict.bytes_kept,
                **({"inUse": True} if verdict.key in held else {}),
            }
            for verdict in rounds
        ],
    }
