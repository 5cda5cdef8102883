"""What must hold of an experiment whatever went wrong on the way: what really ran against what the API says."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pod_history import Ran, overlapping

from ticketsmith_operator.names import ATTEMPT_LABEL, ROUND_LABEL, VOID

Document = Mapping[str, Any]
_DECIDED = ("arm", "seed", "level", "state", "key", "sparsity", "metrics", "gate", "endsBranch")


def essence(status: Document) -> dict[str, Any]:
    """A status without times, attempts and money: what two runs of one experiment must agree on."""
    rounds = {
        one["name"]: {field: one.get(field) for field in _DECIDED} for one in status["rounds"]
    }
    if "report" in rounds:
        rounds["report"]["key"] = None  # it covers times and attempts
    return {
        "rounds": rounds,
        **{field: status.get(field) for field in ("phase", "reason", "progress", "best", "pareto")},
        "conditions": {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]},
        "message": re.sub(r"\d+ attempts?", "", status.get("message", "")),
    }


def broken_rules(
    experiment: Document,
    jobs: Iterable[Document],
    history: Sequence[Ran],
    *,
    once: bool = True,
) -> list[str]:
    """What is wrong with an experiment that should have ended: sentences, none if all is well.

    `once`: nothing happened to the Pods, so every round must have run exactly once.
    """
    uid, status = experiment["metadata"]["uid"], experiment.get("status", {})
    ours = [ran for ran in history if ran.experiment == uid]
    found = [] if status.get("phase") in ("Succeeded", "Failed") else [f"it did not end: {status}"]
    found += [
        f"{a.round} ran twice at once: {a.attempt} and {b.attempt}" for a, b in overlapping(ours)
    ]
    runs: dict[str, list[Ran]] = defaultdict(list)
    for ran in ours:
        runs[ran.round].append(ran)
    done = {one["name"] for one in status.get("rounds", ()) if one["state"] == "Done"}
    found += [f"{name} is done but never ran" for name in sorted(done - runs.keys())]
    if once:
        found += [f"{name} ran {len(all_)} times" for name, all_ in runs.items() if len(all_) != 1]
    for job in jobs:
        found += _orphaned(job, uid)
    return found


def _orphaned(job: Document, uid: str) -> list[str]:
    metadata = job["metadata"]
    name = metadata["name"]
    owners = [owner["uid"] for owner in metadata.get("ownerReferences", ())]
    if owners != [uid]:
        return [f"Job {name} is owned by {owners}, not by the experiment"]
    if is_live(job):
        labels = metadata["labels"]
        return [f"Job {name} ({labels[ROUND_LABEL]}, {labels[ATTEMPT_LABEL]}) goes on"]
    return []


def is_live(job: Document) -> bool:
    """Whether a Job may still run a Pod."""
    if VOID in job["metadata"].get("annotations", {}):
        return False
    conditions = job.get("status", {}).get("conditions", ())
    return not any(
        c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions
    )
