output "share" {
  description = "What examples/cloud/aks/volume.yaml needs to know of the share."
  value = {
    resource_group  = azurerm_resource_group.this.name
    storage_account = azurerm_storage_account.artifacts.name
    share           = azurerm_storage_share.artifacts.name
  }
}

output "node_selector" {
  description = "What an experiment asks for in runner.nodeSelector to get a GPU node of this cluster."
  value = merge(
    { "node.kubernetes.io/instance-type" = var.gpu_machine_type },
    var.gpu_spot ? { "kubernetes.azure.com/scalesetpriority" = "spot" } : {},
  )
}

output "next" {
  description = "The commands that come next; before them, put the names of the output share into volume.yaml."
  value       = <<-EOT
    az aks get-credentials --resource-group ${azurerm_resource_group.this.name} --name ${azurerm_kubernetes_cluster.this.name} --subscription ${var.subscription_id}
    kubelogin convert-kubeconfig -l azurecli
    kubectl apply -f examples/cloud/aks/device-plugin.yaml
    kubectl apply -f examples/cloud/aks/namespace.yaml
    kubectl apply -f examples/cloud/aks/volume.yaml
    helm install ticketsmith-crds oci://ghcr.io/ticketsmith/charts/ticketsmith-crds
    helm install ticketsmith oci://ghcr.io/ticketsmith/charts/ticketsmith --namespace ticketsmith --create-namespace --values examples/cloud/aks/values.yaml
    kubectl apply -n experiments -f examples/cloud/aks/experiment.yaml
  EOT
}
