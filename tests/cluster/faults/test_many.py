"""Two hundred experiments are applied at once."""

from collections import defaultdict
from typing import Any

import pytest
from cluster_access import eventually
from faults.api import EXPERIMENTS, JOBS, where
from faults.conftest import MakeFleet, StartOperator
from faults.fleet import PATIENCE_SECONDS, SHORT
from faults.story import broken_rules, is_live

from ticketsmith_operator.names import UID_LABEL

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
MANY = 200


def test_two_hundred_at_once_all_succeed_and_nothing_runs_twice(
    start_operator: StartOperator, make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(1, **SHORT)
    (namespace,) = fleet.namespaces
    start_operator(fleet, workers=8).wait_ready()
    for number in range(MANY):
        document = fleet.document(namespace)
        document["metadata"]["name"] = f"many-{number}"
        fleet.api.must("POST", where(EXPERIMENTS, namespace), document)

    def have_succeeded() -> bool:
        found = fleet.api.list(EXPERIMENTS, namespace)
        ended = [one for one in found if one.get("status", {}).get("phase") == "Succeeded"]
        return len(ended) == MANY

    eventually(have_succeeded, "200 successes", PATIENCE_SECONDS)
    jobs: dict[str, list[Any]] = defaultdict(list)

    def have_settled() -> bool:
        """The Job controller may still be counting."""
        jobs.clear()
        for job in fleet.api.list(JOBS, namespace):
            jobs[job["metadata"]["labels"][UID_LABEL]].append(job)
        return not any(is_live(job) for group in jobs.values() for job in group)

    eventually(have_settled, "end of all Jobs", PATIENCE_SECONDS)
    for one in fleet.api.list(EXPERIMENTS, namespace):
        assert broken_rules(one, jobs[one["metadata"]["uid"]], fleet.node.history) == []
