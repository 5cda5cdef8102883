# The nodes are in a resource group of the cluster's own: a budget of ours alone would not see them.
resource "azurerm_consumption_budget_subscription" "this" {
  count = var.budget == null ? 0 : 1

  name            = var.name
  subscription_id = "/subscriptions/${var.subscription_id}"
  amount          = var.budget.amount
  time_grain      = "Monthly"

  time_period {
    start_date = "${var.budget.start}T00:00:00Z"
  }

  filter {
    dimension {
      name   = "ResourceGroupName"
      values = [azurerm_resource_group.this.name, azurerm_kubernetes_cluster.this.node_resource_group]
    }
  }

  dynamic "notification" {
    for_each = [50, 90, 100]

    content {
      operator       = "GreaterThanOrEqualTo"
      threshold      = notification.value
      contact_emails = var.budget.emails
    }
  }
}
