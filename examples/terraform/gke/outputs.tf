output "artifacts_uri" {
  description = "Where experiments keep their artifacts: artifacts.uri of the chart, or of an experiment."
  value       = "${google_storage_bucket.artifacts.url}/experiments"
}

output "node_selector" {
  description = "What an experiment asks for in runner.nodeSelector to get a GPU node of this cluster."
  value = merge(
    { "cloud.google.com/gke-accelerator" = var.gpu_type },
    var.gpu_spot ? { "cloud.google.com/gke-spot" = "true" } : {},
  )
}

output "github_variables" {
  description = "Variables of the GitHub repository with which the workflow Images also pushes to Artifact Registry; null without var.github."
  value = var.github == null ? null : {
    GOOGLE_ARTIFACT_REGISTRY          = "${local.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images[0].repository_id}"
    GOOGLE_WORKLOAD_IDENTITY_PROVIDER = google_iam_workload_identity_pool_provider.github[0].name
  }
}

output "next" {
  description = "The commands that come next."
  value       = <<-EOT
    gcloud container clusters get-credentials ${google_container_cluster.this.name} --location ${var.zone} --project ${var.project_id} --dns-endpoint
    kubectl apply -f examples/cloud/gke/namespace.yaml
    helm install ticketsmith-crds oci://ghcr.io/ticketsmith/charts/ticketsmith-crds
    helm install ticketsmith oci://ghcr.io/ticketsmith/charts/ticketsmith --namespace ticketsmith --create-namespace --values examples/cloud/gke/values.yaml --set artifacts.uri=${google_storage_bucket.artifacts.url}/experiments
    kubectl apply -n experiments -f examples/cloud/gke/experiment.yaml
  EOT
}
