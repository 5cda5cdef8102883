resource "azurerm_user_assigned_identity" "cluster" {
  name                = "${var.name}-cluster"
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
}

# The cluster puts its nodes into the subnet, and touches nothing else of the network.
resource "azurerm_role_assignment" "subnet" {
  scope                = azurerm_subnet.nodes.id
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_user_assigned_identity.cluster.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_kubernetes_cluster" "this" {
  name                      = var.name
  resource_group_name       = azurerm_resource_group.this.name
  location                  = azurerm_resource_group.this.location
  dns_prefix                = var.name
  sku_tier                  = "Free"
  automatic_upgrade_channel = "stable"
  node_os_upgrade_channel   = "NodeImage"

  # People sign in as themselves; there is no administrator's certificate to lose.
  local_account_disabled            = true
  role_based_access_control_enabled = true
  run_command_enabled               = false

  azure_active_directory_role_based_access_control {
    azure_rbac_enabled = true
  }

  api_server_access_profile {
    authorized_ip_ranges = concat(tolist(var.api_server_ranges), ["${azurerm_public_ip.nat.ip_address}/32"])
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.cluster.id]
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_data_plane  = "cilium"
    network_policy      = "cilium"
    outbound_type       = "userAssignedNATGateway"
    pod_cidr            = "10.20.0.0/16"
    service_cidr        = "10.30.0.0/20"
    dns_service_ip      = "10.30.0.10"
  }

  # The operator, and what the cluster itself runs.
  default_node_pool {
    name                   = "system"
    vm_size                = "Standard_D2s_v5"
    vnet_subnet_id         = azurerm_subnet.nodes.id
    node_public_ip_enabled = false
    auto_scaling_enabled   = true
    min_count              = 1
    max_count              = 3

    upgrade_settings {
      max_surge = "10%"
    }
  }

  lifecycle {
    ignore_changes = [default_node_pool[0].node_count]
  }

  depends_on = [azurerm_role_assignment.subnet, azurerm_subnet_nat_gateway_association.this, azurerm_nat_gateway_public_ip_association.this]
}

# Nothing runs here, and nothing is paid, until a round waits for a GPU.
resource "azurerm_kubernetes_cluster_node_pool" "gpu" {
  name                   = "gpu"
  kubernetes_cluster_id  = azurerm_kubernetes_cluster.this.id
  mode                   = "User"
  vm_size                = var.gpu_machine_type
  gpu_driver             = "Install"
  vnet_subnet_id         = azurerm_subnet.nodes.id
  node_public_ip_enabled = false
  os_disk_size_gb        = 128

  auto_scaling_enabled = true
  min_count            = 0
  max_count            = var.gpu_max_nodes

  priority        = var.gpu_spot ? "Spot" : "Regular"
  eviction_policy = var.gpu_spot ? "Delete" : null
  spot_max_price  = var.gpu_spot ? -1 : null

  # Only what asks for a GPU comes here. AKS puts the label and the second taint on spot nodes by itself, and wants them said.
  node_labels = var.gpu_spot ? { "kubernetes.azure.com/scalesetpriority" = "spot" } : {}
  node_taints = concat(
    ["nvidia.com/gpu=present:NoSchedule"],
    var.gpu_spot ? ["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"] : [],
  )

  lifecycle {
    ignore_changes = [node_count]
  }
}

# Whoever applies this may use the cluster. Others are let in with the same role, or a smaller one.
resource "azurerm_role_assignment" "administrator" {
  scope                = azurerm_kubernetes_cluster.this.id
  role_definition_name = "Azure Kubernetes Service RBAC Cluster Admin"
  principal_id         = data.azurerm_client_config.this.object_id
}
