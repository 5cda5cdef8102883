"""Reading roles and audit logs: what is granted, to whom and where; what was asked for."""

from typing import Any

from rights import Right, asked, granted

JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}
OURS = {"kind": "ServiceAccount", "name": "operator", "namespace": "home"}
USER = "system:serviceaccount:home:operator"


def role(kind: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": "rounds"} | ({"namespace": namespace} if namespace else {})
    return {"kind": kind, "metadata": metadata, "rules": [JOBS]}


def binding(kind: str, to: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": "rounds"} | ({"namespace": namespace} if namespace else {})
    reference = {"kind": to, "name": "rounds"}
    return {"kind": kind, "metadata": metadata, "roleRef": reference, "subjects": [OURS]}


def event(verb: str, decision: str = "allow", user: str = USER, **reference: str) -> dict[str, Any]:
    return {
        "verb": verb,
        "requestURI": "/somewhere",
        "user": {"username": user},
        "annotations": {"authorization.k8s.io/decision": decision},
        **({"objectRef": reference} if reference else {}),
    }


def test_a_cluster_role_is_granted_everywhere_or_where_it_is_bound() -> None:
    wide = [role("ClusterRole"), binding("ClusterRoleBinding", "ClusterRole")]
    near = [role("ClusterRole"), binding("RoleBinding", "ClusterRole", "team")]
    assert granted(wide, "home", "operator") == {
        Right("", "batch", "jobs", "get"),
        Right("", "batch", "jobs", "create"),
    }
    assert {right.namespace for right in granted(near, "home", "operator")} == {"team"}


def test_a_role_of_the_same_name_elsewhere_and_others_accounts_do_not_count() -> None:
    elsewhere = role("Role", "other") | {"rules": []}
    here = [elsewhere, role("Role", "team"), binding("RoleBinding", "Role", "team")]
    assert len(granted(here, "home", "operator")) == 2
    assert granted(here, "home", "another") == set()
    assert granted(here, "away", "operator") == set()


def test_a_right_covers_its_namespace_or_all() -> None:
    get = Right("team", "batch", "jobs", "get")
    assert Right("", "batch", "jobs", "get").covers(get)
    assert get.covers(get)
    assert not Right("other", "batch", "jobs", "get").covers(get)
    assert not get.covers(Right("", "batch", "jobs", "get"))
    assert not get.covers(get._replace(verb="list"))


def test_what_was_asked_for_tells_subresources_and_refusals() -> None:
    status = {"apiGroup": "ticketsmith.dev", "resource": "pruningexperiments"}
    audit = [
        event("update", namespace="team", subresource="status", **status),
        event("list", resource="pods"),
        event("get"),  # no object: what the API server can do
        event("delete", user="somebody", resource="pods"),
        event("get", decision="forbid", resource="secrets"),
    ]
    used, forbidden = asked(audit, "home", "operator")
    assert used == {
        Right("team", "ticketsmith.dev", "pruningexperiments/status", "update"),
        Right("", "", "pods", "list"),
    }
    assert forbidden == ["get /somewhere"]
