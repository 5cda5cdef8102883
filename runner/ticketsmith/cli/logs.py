"""ticketsmith logs: what a round on a cluster printed."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ticketsmith.cli.plain import progress_line
from ticketsmith.cli.where import reach
from ticketsmith.cluster.connect import Wanted
from ticketsmith.cluster.kube import Body, Kube
from ticketsmith.cluster.logs import Attempt, Reader, read_progress
from ticketsmith.cluster.problems import ClusterProblem, NotThere
from ticketsmith.cluster.resource import Seen, find, look
from ticketsmith.experiment.ledger import recall
from ticketsmith.experiment.problems import BadSpec, Problem
from ticketsmith.experiment.status import RoundStatus


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the experiment's name."""

    wanted: Wanted
    round: str | None = None
    attempt: str | None = None
    """A number, or all."""
    follow: bool = False
    raw: bool = False


def show_logs(name: str, options: Options) -> None:
    """Print the log of one round. Problem says why there is none, with the round's last words."""
    kube = reach(options.wanted)
    seen = find(kube, name)
    known = choose_round(_rounds(seen), options.round, name)
    number = choose_attempt(known, options.attempt)
    if options.round is None:
        print(f"{known.name}, attempt {known.attempts} ({known.state}):", file=sys.stderr)
    attempt = Attempt(name, seen.uid, known.name, number)
    reader = Reader(kube, attempt)
    lines = (
        reader.follow(lambda: _is_over(kube, seen, known), time.sleep)
        if options.follow
        else reader.now()
    )
    is_empty = True
    for line in lines:
        is_empty = False
        print(line if options.raw else render(line), flush=options.follow)
    if is_empty:
        pods, ttl = kube.pods(attempt.labels), _time_to_live(seen)
        raise Problem(why_silent(pods, known, number, ttl))


def render(line: str) -> str:
    """A line of progress as `ticketsmith run` shows it; any other as it is."""
    progress = read_progress(line)
    return line if progress is None else progress_line(progress)


def choose_round(rounds: Sequence[RoundStatus], wanted: str | None, experiment: str) -> RoundStatus:
    """The round that is named; else the one that runs; else the one a reader most likely asks about: a failed one,
    or the first of these, the last to finish. BadSpec if there is none."""
    if not rounds:
        raise BadSpec(f"{experiment} has started no round yet: there is no log to show")
    if wanted is None:
        order = ("Running", "Failed", "Waiting")
        likely = [known for state in order for known in rounds if known.state == state]
        return likely[0] if likely else rounds[0]
    by_name = {known.name: known for known in rounds}
    if wanted in by_name:
        return by_name[wanted]
    near = get_close_matches(wanted, by_name, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(by_name)}"
    raise BadSpec(f"{experiment} has started no round {wanted}: {hint}")


def choose_attempt(known: RoundStatus, wanted: str | None) -> int | None:
    """The number of the attempt, the latest unless told otherwise; None is all of them."""
    if wanted == "all":
        return None
    if wanted is None:
        return known.attempts
    if not wanted.isdecimal() or not 1 <= int(wanted) <= known.attempts:
        raise BadSpec(
            f"--attempt is {wanted}, but {known.name} has attempts 1 to {known.attempts}: name one of them, or all"
        )
    return int(wanted)


def why_silent(
    pods: Sequence[Body], known: RoundStatus, number: int | None, ttl: int | None = None
) -> str:
    """Why no line can be shown, and what is known instead; `ttl` is how long finished Jobs stay. Pure."""
    which = known.name if number is None else f"{known.name}, attempt {number},"
    for pod in reversed(pods):
        if reason := _waits(pod.get("status", {})):
            return f"{which} has not started: {reason}"
    if pods:
        return f"{which} has printed nothing"
    if known.state == "Running" and number in (None, known.attempts):
        return f"{which} has no Pod yet: its Job waits for a place; --follow waits with it"
    words = f"its last words were: {known.message}" if known.message else f"it is {known.state}"
    if ttl is not None:
        rule = f"spec.retention.ttlSecondsAfterFinished is {ttl}"
        return f"the log of {which} is gone with its Job, as {rule}; {words}"
    return f"the log of {which} is gone with its Pod; {words}"


def _time_to_live(seen: Seen) -> int | None:
    """Seconds for which the experiment keeps finished Jobs; None keeps them."""
    retention = seen.body["spec"].get("retention") or {}
    ttl = retention.get("ttlSecondsAfterFinished")
    return int(ttl) if ttl is not None else None


def _waits(status: Mapping[str, Any]) -> str:
    """Why a Pod's container does not run yet, in Kubernetes' words; empty if it does or did."""
    for container in status.get("containerStatuses") or ():
        waiting = container.get("state", {}).get("waiting")
        if waiting is None:
            return ""
        return ": ".join(waiting[part] for part in ("reason", "message") if waiting.get(part))
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def _rounds(seen: Seen) -> list[RoundStatus]:
    """As a status orders them: what runs or failed, then the latest finished ones, newest first."""
    status = seen.status
    return list(recall(status.rounds, status.ledger).values()) if status else []


def _is_over(kube: Kube, seen: Seen, known: RoundStatus) -> bool:
    """Whether the attempt has ended; while the cluster is silent, nobody knows that it has."""
    try:
        now = look(kube.experiment(seen.name))
    except NotThere:
        return True
    except ClusterProblem:
        return False
    one = next((one for one in _rounds(now) if one.name == known.name), None)
    return (
        now.uid != seen.uid
        or one is None
        or one.state != "Running"
        or one.attempts != known.attempts
    )
