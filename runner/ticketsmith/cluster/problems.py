"""How an API server refuses, turned into one sentence with a remedy. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ticketsmith.experiment.labels import GROUP, PLURAL
from ticketsmith.experiment.problems import BadSpec, Problem

ROLE = "ticketsmith-user"
"""The role docs/cluster.md shows: all that the command line needs."""


class ClusterProblem(Problem):
    """The cluster could not be asked, or did not do what was asked for."""

    exit_code = 3

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        """HTTP status; None where no answer came."""


class NotThere(ClusterProblem, BadSpec):
    """The object that was named does not exist."""

    exit_code = BadSpec.exit_code


class Refused(ClusterProblem, BadSpec):
    """The API server holds the document to be wrong."""

    exit_code = BadSpec.exit_code


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, in the words of RBAC."""

    server: str
    """Address of the API server."""
    verb: str
    """get, list, watch or patch."""
    resource: str
    """Plural, e.g. pods or pods/log."""
    namespace: str | None
    """None is every namespace."""
    name: str | None = None


def problem(asked: Asked, code: int, text: str) -> ClusterProblem:
    """What an answer of HTTP status `code`, at least 400, with this body means for whoever asked."""
    said = _status(text)
    message = str(said.get("message") or f"HTTP {code}").strip().rstrip(".")
    details = said.get("details") or {}
    match code:
        case 401:
            return ClusterProblem(
                f"{asked.server} does not accept your credentials; they may have expired: log in to the cluster "
                "again, `kubectl auth whoami` shows whether it worked",
                code,
            )
        case 403 if "cannot" in message and asked.namespace is None:
            return ClusterProblem(
                f"you{_user(message)} may not {asked.verb} {asked.resource} in all namespaces: name one with -n, or "
                f"ask whoever runs the cluster for a ClusterRole with the rules of {ROLE} (docs/cluster.md shows it)",
                code,
            )
        case 403 if "cannot" in message:
            return ClusterProblem(
                f"you{_user(message)} may not {asked.verb} {asked.resource} in namespace {asked.namespace}: ask "
                f"whoever runs the cluster to bind you to the role {ROLE} there (docs/cluster.md shows it)",
                code,
            )
        case 404 if asked.name and details.get("kind") == "namespaces":
            return NotThere(
                f"there is no namespace {asked.namespace} on {asked.server}: name another with -n, or make it "
                f"with `kubectl create namespace {asked.namespace}`",
                code,
            )
        case 404 if asked.name and details.get("name") == asked.name:
            return NotThere(
                f"namespace {asked.namespace} has no {asked.resource} {asked.name}", code
            )
        case 404 if asked.resource == PLURAL:
            return ClusterProblem(
                f"{asked.server} does not know PruningExperiments: install TicketSmith on the cluster, "
                "`kubectl apply --server-side -f crds/` and then its operator",
                code,
            )
        case 409 if causes := _conflicts(details):
            return Refused(causes, code)
        case 400 | 403 | 422:
            return Refused(f"the cluster refuses it: {_plain(message, asked)}", code)
    return ClusterProblem(f"{asked.server} answers {code}: {message}; try again", code)


def _status(text: str) -> Mapping[str, Any]:
    """The body as the API server's Status; a proxy's page is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _user(message: str) -> str:
    found = re.search(r'User "([^"]+)"', message)
    return f" ({found[1]})" if found else ""


def _conflicts(details: Mapping[str, Any]) -> str:
    """Which fields others manage, and what to do; empty if it is a conflict of another kind."""
    found = [
        (str(cause.get("field", "")).lstrip("."), _manager(str(cause.get("message", ""))))
        for cause in details.get("causes") or ()
        if cause.get("reason") == "FieldManagerConflict"
    ]
    if not found:
        return ""
    fields = ", ".join(sorted({field for field, _ in found}))
    managers = ", ".join(sorted({manager for _, manager in found}))
    return (
        f"{fields}: the value on the cluster was set by {managers} and differs from the file's: change it there "
        "(for Argo CD in the repository it syncs from), or take it over with `kubectl apply --server-side "
        "--force-conflicts --field-manager ticketsmith-cli -f FILE`"
    )


def _manager(message: str) -> str:
    found = re.search(r'conflict with "([^"]+)"', message)
    return found[1] if found else "another manager"


def _plain(message: str, asked: Asked) -> str:
    """The server's sentence without what its reader knows: `Kind.group "name" is invalid: `."""
    return message.removeprefix(f'PruningExperiment.{GROUP} "{asked.name}" is invalid: ')
