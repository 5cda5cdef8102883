# A share that every node mounts by NFS 4.1, which carries the locks that the store needs. It has no keys and no passwords:
# the subnet of the nodes is who may.
resource "azurerm_storage_account" "artifacts" {
  name                            = var.storage_account
  resource_group_name             = azurerm_resource_group.this.name
  location                        = azurerm_resource_group.this.location
  account_kind                    = "FileStorage"
  account_tier                    = "Premium"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  allow_nested_items_to_be_public = false
  local_user_enabled              = false

  # NFS is not HTTPS: with this on, no NFS client is let in.
  https_traffic_only_enabled = false

  network_rules {
    default_action             = "Deny"
    bypass                     = ["None"]
    virtual_network_subnet_ids = [azurerm_subnet.nodes.id]
  }
}

resource "azurerm_storage_share" "artifacts" {
  name               = "experiments"
  storage_account_id = azurerm_storage_account.artifacts.id
  enabled_protocol   = "NFS"
  quota              = var.share_gib
}
