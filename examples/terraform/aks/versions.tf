terraform {
  required_version = "~> 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}

provider "azurerm" {
  subscription_id = var.subscription_id

  # The account takes no keys and answers only inside the network: whoever applies this asks Azure about it, not it itself.
  storage_use_azuread = true

  features {
    storage {
      data_plane_available = false
    }
  }
}
