data "azurerm_client_config" "this" {}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
}
