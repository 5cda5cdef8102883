"""What the chart makes: as it was reviewed, and fitting together."""

import json

import pytest
import rendered
import yaml
from rendered import CHART, NAMES, ROOT, called, common_labels, documents, find, made, operator

from ticketsmith_operator.flags import read_settings
from ticketsmith_operator.money.prices import read_prices
from ticketsmith_operator.names import labels
from ticketsmith_operator.settings import Settings

pytestmark = pytest.mark.usefixtures("helm")

ELSEWHERE = {"port", "lease_namespace"}
"""Settings that are not a value: the port is the container's, the Lease lies in the operator's namespace."""


def test_every_values_file_has_its_golden_file_and_the_reverse() -> None:
    assert [file.stem for file in sorted(rendered.GOLDEN.glob("*.yaml"))] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_as_it_was_reviewed(name: str) -> None:
    now, before = rendered.snapshot(name), rendered.kept(name)
    assert now == before, f"changed: run python {rendered.__file__}, look, keep"


@pytest.mark.parametrize("name", NAMES)
def test_every_object_has_its_own_name_and_the_common_labels(name: str) -> None:
    found = made(name)
    names = [called(one) for one in found]
    assert len(names) == len(set(names))
    for one in found:
        if "helm.sh/hook" not in one["metadata"].get("annotations", {}):
            assert common_labels().items() <= one["metadata"]["labels"].items(), called(one)


@pytest.mark.parametrize("name", NAMES)
def test_the_operator_understands_its_arguments(name: str) -> None:
    """A wrong flag, or a value out of its bounds, ends in SystemExit."""
    read_settings(operator(made(name))["args"])


def test_every_setting_is_a_value() -> None:
    flags = {arg.split("=")[0] for name in NAMES for arg in operator(made(name))["args"]}
    settings = {name for name in Settings.model_fields if _flag(name) in flags}
    assert settings == Settings.model_fields.keys() - ELSEWHERE


def _flag(setting: str) -> str:
    return "--" + {"namespaces": "namespace"}.get(setting, setting).replace("_", "-")


def test_by_default_everything_is_as_the_operator_has_it_by_default() -> None:
    assert read_settings(operator(documents())["args"]) == Settings()


def test_the_values_reach_the_operator() -> None:
    asked = read_settings(operator(made("extras"))["args"])
    assert (asked.workers, asked.capacity, asked.resync_seconds) == (16, 8, 86400)
    assert asked.missing_grace_seconds == 7  # extraArgs come last
    assert asked.bind == "::"
    asked = read_settings(operator(made("namespaced"))["args"])
    assert asked.namespaces == ("team-a", "1e3")


def test_the_price_list_is_one_the_operator_takes() -> None:
    example = yaml.safe_load((ROOT / "examples" / "cluster" / "prices.yaml").read_text())["data"][
        "prices.yaml"
    ]
    given = yaml.safe_load(example)
    prices = {"currency": given["currency"], "entries": given["prices"]}
    found = documents("--set-json", f"prices={json.dumps(prices)}")
    config_map = find(found, "ConfigMap")
    assert read_prices(config_map["data"]["prices.yaml"]) == read_prices(example)
    (volume,) = find(found, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
    (mount,) = operator(found)["volumeMounts"]
    assert f"--prices={mount['mountPath']}/prices.yaml" in operator(found)["args"]


def test_a_digest_wins_over_a_tag() -> None:
    container = operator(made("elsewhere"))
    assert container["image"].startswith("registry.example.com/mirror/operator@sha256:")
    assert "--image=registry.example.com:5000/mirror/runner:2024" in container["args"]


@pytest.mark.parametrize("name", NAMES)
def test_what_selects_the_operator_selects_its_pods(name: str) -> None:
    found = made(name)
    template = find(found, "Deployment")["spec"]["template"]
    pods = template["metadata"]["labels"].items()
    (port,) = operator(found)["ports"]
    service = find(found, "Service")
    assert service["spec"]["selector"].items() <= pods
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    for one in found:
        spec = one.get("spec", {})
        if one["kind"] in {"Deployment", "PodDisruptionBudget", "PodMonitor"}:
            assert spec["selector"]["matchLabels"].items() <= pods
        if one["kind"] == "ServiceMonitor":
            assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            assert spec["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
        if one["kind"] == "PodMonitor":
            assert spec["podMetricsEndpoints"][0]["port"] == port["name"]
        if one["kind"] in {"ServiceMonitor", "PodMonitor"}:
            assert spec["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
            assert spec["jobLabel"] in service["metadata"]["labels"]


@pytest.mark.parametrize("name", ["locked_down", "namespaced"])
def test_network_policies_select_the_pods_they_are_for(name: str) -> None:
    found = made(name)
    operators = find(found, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    rounds = labels("trial", "uid", "dense-s0-l00", 1).items()
    policies = [one for one in found if one["kind"] == "NetworkPolicy"]
    for policy in policies:
        selects = policy["spec"]["podSelector"]["matchLabels"].items()
        of_rounds = policy["metadata"]["name"].endswith("-rounds")
        assert (selects <= rounds, selects <= operators) == (of_rounds, not of_rounds)
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert not of_rounds or policy["spec"]["ingress"] == []
    namespaces = {one["metadata"]["namespace"] for one in policies}
    assert (
        namespaces
        == {"locked_down": {"ticketsmith", "team-a"}, "namespaced": {"team-a", "1e3"}}[name]
    )


def test_rights_in_named_namespaces_are_no_rights_elsewhere() -> None:
    found = made("namespaced")
    assert [called(one) for one in found if one["kind"].startswith("Cluster")] == []
    bound = {called(one) for one in found if one["kind"] == "RoleBinding"}
    name = "ticketsmith-operator"
    assert bound == {f"RoleBinding/{each}/{name}" for each in ("team-a", "1e3")} | {
        f"RoleBinding/ticketsmith/{name}-leader"
    }
    everywhere = find(documents(), "ClusterRole", name)["rules"]
    for role in (one for one in found if one["kind"] == "Role" and one["metadata"]["name"] == name):
        assert role["rules"] == everywhere


def test_leases_are_granted_with_leader_election_only() -> None:
    def granted(*arguments: str) -> set[str]:
        rules = [rule for one in documents(*arguments) for rule in one.get("rules", ())]
        return {resource for rule in rules for resource in rule["resources"]}

    assert "leases" not in granted()
    assert "leases" in granted("--set", "leaderElection.enabled=true")


def test_what_is_not_to_be_made_is_not_made() -> None:
    kinds = {one["kind"] for one in made("elsewhere")}
    assert kinds == {"Deployment", "Service", "Pod"}
    assert "PodDisruptionBudget" not in {one["kind"] for one in documents()}


def test_dashboards_arrive_as_they_are() -> None:
    files = {
        file.name: json.loads(file.read_text()) for file in (CHART / "dashboards").glob("*.json")
    }
    assert files
    arrived = {
        name: json.loads(text)
        for one in made("observed")
        if "-dashboard-" in one["metadata"]["name"]
        for name, text in one["data"].items()
    }
    assert arrived == files


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("ticketsmith", "ticketsmith-operator"),
        ("ticketsmith-operator", "ticketsmith-operator"),
        ("lab", "lab-ticketsmith-operator"),
        ("a" * 53, "a" * 40 + "-operator"),
    ],
)
def test_names_follow_the_release(release: str, name: str) -> None:
    found = documents(release=release)
    assert find(found, "Deployment")["metadata"]["name"] == name
    assert find(found, "Service")["metadata"]["name"] == name
