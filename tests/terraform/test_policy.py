"""What the Terraform examples promise: nothing public, no key, no GPU that waits for work at somebody's cost."""

import re

import pytest
from terraform_modules import NAMES, Item, Module, every

GKE = Module("gke")
AKS = Module("aks")
BOTH = pytest.mark.parametrize("module", [Module(name) for name in NAMES], ids=lambda m: m.name)


@BOTH
def test_there_is_no_key_and_no_secret(module: Module) -> None:
    kinds = {item.type for item in module.items}
    assert not [kind for kind in kinds if re.search(r"_key$|_keys$|secret|password|_sas$", kind)]
    # Attributes of other resources that are secrets.
    secrets = "kube_config|kube_admin_config|(primary|secondary)_\\w*key|private_key|client_secret|master_auth"
    assert not re.search(rf"\.({secrets})\b", module.text)


@BOTH
def test_nobody_is_everybody(module: Module) -> None:
    assert not re.search(r"allUsers|allAuthenticatedUsers|0\.0\.0\.0/0|::/0", module.text)


@BOTH
def test_no_role_is_wider_than_it_must_be(module: Module) -> None:
    roles = {
        role
        for item in module.items
        for key in ("role", "role_definition_name")
        for role in every(key, item.body)
    }
    assert (
        roles
        == {
            "gke": {
                "roles/container.defaultNodeServiceAccount",
                "roles/storage.objectUser",
                "roles/artifactregistry.writer",
                "roles/artifactregistry.reader",
            },
            "aks": {"Network Contributor", "Azure Kubernetes Service RBAC Cluster Admin"},
        }[module.name]
    )


def gpu(module: Module) -> Item:
    kind = {"gke": "google_container_node_pool", "aks": "azurerm_kubernetes_cluster_node_pool"}
    (pool,) = (item for item in module.resources(kind[module.name]) if item.name == "gpu")
    return pool


class TestGke:
    def test_gpu_nodes_come_from_zero_and_go_back_to_it(self) -> None:
        body = gpu(GKE).body
        (scaling,) = body["autoscaling"]
        assert scaling["total_min_node_count"] == 0
        assert scaling["total_max_node_count"] == "${var.gpu_max_nodes}"
        assert body["initial_node_count"] == 0
        assert "node_count" not in body

    def test_gpu_nodes_have_a_driver_and_take_only_who_asks_for_a_gpu(self) -> None:
        (node,) = gpu(GKE).body["node_config"]
        (accelerator,) = node["guest_accelerator"]
        assert accelerator["count"] == 1
        assert accelerator["gpu_driver_installation_config"] == [{"gpu_driver_version": "DEFAULT"}]
        taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
        assert taint in node["taint"]
        (spot,) = (one["taint"] for one in node["dynamic"])
        assert "var.gpu_spot" in spot["for_each"]
        assert spot["content"][0]["key"] == "cloud.google.com/gke-spot"
        assert node["spot"] == "${var.gpu_spot}"

    def test_no_node_has_a_public_address(self) -> None:
        (cluster,) = GKE.resources("google_container_cluster")
        assert cluster.body["private_cluster_config"] == [{"enable_private_nodes": True}]
        for pool in GKE.resources("google_container_node_pool"):
            assert pool.body["network_config"] == [{"enable_private_nodes": True}], pool
        assert list(every("access_config", [item.body for item in GKE.items])) == []
        (network,) = GKE.resources("google_compute_network")
        assert network.body["auto_create_subnetworks"] is False

    def test_the_control_plane_has_no_open_address(self) -> None:
        (cluster,) = GKE.resources("google_container_cluster")
        (endpoints,) = cluster.body["control_plane_endpoints_config"]
        assert endpoints["ip_endpoints_config"] == [{"enabled": False}]

    def test_a_pod_is_never_its_node(self) -> None:
        for pool in GKE.resources("google_container_node_pool"):
            (node,) = pool.body["node_config"]
            assert node["workload_metadata_config"] == [{"mode": "GKE_METADATA"}], pool
            assert node["service_account"] == "${google_service_account.nodes.email}", pool

    def test_the_bucket_is_private_and_keeps_results(self) -> None:
        (bucket,) = GKE.resources("google_storage_bucket")
        assert bucket.body["uniform_bucket_level_access"] is True
        assert bucket.body["public_access_prevention"] == "enforced"
        assert bucket.body["force_destroy"] is False
        assert "retention_policy" not in bucket.body, "it would forbid replacing checkpoints"
        for rule in bucket.body["lifecycle_rule"]:
            (condition,) = rule["condition"]
            assert condition["matches_suffix"] == ["/checkpoint.safetensors"], "results stay"

    def test_rounds_are_told_by_the_projects_number(self) -> None:
        (grant,) = GKE.resources("google_storage_bucket_iam_member")
        assert grant.body["role"] == "roles/storage.objectUser"
        assert grant.body["member"] == (
            "${local.pool}/subject/ns/${each.key}/sa/${var.runner_service_account}"
        )
        (pool,) = every("pool", GKE.blocks["locals"])
        assert pool.startswith(
            "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/"
        )
        assert not re.search(r"principal(Set)?://[^\"]*projects/\$\{var\.project_id\}", GKE.text)

    def test_google_believes_one_repository_and_only_what_was_merged(self) -> None:
        (provider,) = GKE.resources("google_iam_workload_identity_pool_provider")
        assert provider.body["attribute_condition"] == "${local.github_condition}"
        assert provider.body["oidc"] == [
            {"issuer_uri": "https://token.actions.githubusercontent.com"}
        ]
        (condition,) = every("github_condition", GKE.blocks["locals"])
        assert "join(" in condition
        assert '" && "' in condition
        for claim in (
            r"assertion.repository == \"${var.github.repository}\"",
            r"assertion.repository_id == \"${var.github.repository_id}\"",
            r"assertion.event_name == \"push\"",
            r"(assertion.ref == \"refs/heads/main\" || assertion.ref.startsWith(\"refs/tags/v\"))",
        ):
            assert claim in condition

    def test_every_grant_to_github_names_the_repository(self) -> None:
        grants = [
            item
            for item in GKE.items
            if "iam_member" in item.type and "workload_identity_pool.github" in item.body["member"]
        ]
        assert grants
        for grant in grants:
            assert grant.body["member"].endswith(
                "/attribute.repository_id/${var.github.repository_id}"
            )
        (provider,) = GKE.resources("google_iam_workload_identity_pool_provider")
        assert "attribute.repository_id" in provider.body["attribute_mapping"]


class TestAks:
    def test_gpu_nodes_come_from_zero_and_go_back_to_it(self) -> None:
        body = gpu(AKS).body
        assert body["auto_scaling_enabled"] is True
        assert body["min_count"] == 0
        assert body["max_count"] == "${var.gpu_max_nodes}"
        assert "node_count" not in body

    def test_gpu_nodes_have_a_driver_and_take_only_who_asks_for_a_gpu(self) -> None:
        body = gpu(AKS).body
        assert body["gpu_driver"] == "Install"
        assert '"nvidia.com/gpu=present:NoSchedule"' in body["node_taints"]
        assert '"kubernetes.azure.com/scalesetpriority=spot:NoSchedule"' in body["node_taints"]
        assert body["eviction_policy"] == '${var.gpu_spot ? "Delete" : null}'

    def test_no_node_has_a_public_address(self) -> None:
        assert gpu(AKS).body["node_public_ip_enabled"] is False
        (cluster,) = AKS.resources("azurerm_kubernetes_cluster")
        assert cluster.body["default_node_pool"][0]["node_public_ip_enabled"] is False
        assert cluster.body["network_profile"][0]["outbound_type"] == "userAssignedNATGateway"
        (subnet,) = AKS.resources("azurerm_subnet")
        assert subnet.body["default_outbound_access_enabled"] is False

    def test_people_sign_in_as_themselves(self) -> None:
        (cluster,) = AKS.resources("azurerm_kubernetes_cluster")
        assert cluster.body["local_account_disabled"] is True
        assert cluster.body["azure_active_directory_role_based_access_control"] == [
            {"azure_rbac_enabled": True}
        ]
        assert cluster.body["run_command_enabled"] is False
        assert "api_server_ranges" in str(cluster.body["api_server_access_profile"])

    def test_the_share_is_for_the_nodes_alone_and_has_no_key(self) -> None:
        (account,) = AKS.resources("azurerm_storage_account")
        assert account.body["shared_access_key_enabled"] is False
        assert account.body["allow_nested_items_to_be_public"] is False
        (rules,) = account.body["network_rules"]
        assert rules["default_action"] == "Deny"
        assert rules["virtual_network_subnet_ids"] == ["${azurerm_subnet.nodes.id}"]
        (share,) = AKS.resources("azurerm_storage_share")
        assert share.body["enabled_protocol"] == "NFS", "the store needs locks, which NFS 4.1 has"
