"""What a service account may do by RBAC, and what it asked for by the API server's audit log. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Document = Mapping[str, Any]
EVERYWHERE = ""
"""The namespace of what concerns the whole cluster."""


class Right(NamedTuple):
    """One verb on one kind of thing, in a namespace or everywhere."""

    namespace: str
    group: str
    resource: str
    """Plural, with its subresource: pruningexperiments/status."""
    verb: str

    def covers(self, other: "Right") -> bool:
        """Whether who holds this one may do the other."""
        return self[1:] == other[1:] and self.namespace in (EVERYWHERE, other.namespace)


def granted(documents: Iterable[Document], namespace: str, account: str) -> set[Right]:
    """What the (Cluster)Roles and bindings among `documents` allow that account, without what everybody may do."""
    documents = list(documents)
    rules = {
        (one["kind"], one["metadata"].get("namespace", EVERYWHERE), one["metadata"]["name"]): one[
            "rules"
        ]
        for one in documents
        if one["kind"] in ("ClusterRole", "Role")
    }
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    found = set()
    for binding in documents:
        if binding["kind"] not in ("ClusterRoleBinding", "RoleBinding"):
            continue
        if subject not in [dict(one) for one in binding.get("subjects", ())]:
            continue
        where = binding["metadata"].get("namespace", EVERYWHERE)
        kind, role = binding["roleRef"]["kind"], binding["roleRef"]["name"]
        home = where if kind == "Role" else EVERYWHERE
        for rule in rules[kind, home, role]:
            found |= {
                Right(where, group, resource, verb)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return found


def asked(audit: Iterable[Document], namespace: str, account: str) -> tuple[set[Right], list[str]]:
    """What that account was allowed to ask of the API, and what it was forbidden, in words."""
    user = f"system:serviceaccount:{namespace}:{account}"
    used, forbidden = set(), []
    for event in audit:
        if event["user"]["username"] != user:
            continue
        if event.get("annotations", {}).get("authorization.k8s.io/decision") != "allow":
            forbidden.append(f"{event['verb']} {event['requestURI']}")
        elif reference := event.get("objectRef"):
            parts = (reference.get("resource", ""), reference.get("subresource"))
            used.add(
                Right(
                    reference.get("namespace", EVERYWHERE),
                    reference.get("apiGroup", ""),
                    "/".join(filter(None, parts)),
                    event["verb"],
                )
            )
    return used, forbidden
