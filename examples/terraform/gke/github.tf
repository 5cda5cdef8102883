# Whom Google believes when a workflow says who it is: this repository, by name and by number, and only when a push (of the
# main branch or of a release's tag) started it. A pull request, from wherever, is nobody here.
locals {
  github_condition = var.github == null ? null : join(" && ", [
    "assertion.repository == \"${var.github.repository}\"",
    "assertion.repository_id == \"${var.github.repository_id}\"",
    "assertion.event_name == \"push\"",
    "(assertion.ref == \"refs/heads/main\" || assertion.ref.startsWith(\"refs/tags/v\"))",
  ])
}

resource "google_iam_workload_identity_pool" "github" {
  count = var.github == null ? 0 : 1

  workload_identity_pool_id = "${var.name}-github"
  description               = "Workflows of ${var.github.repository}"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count = var.github == null ? 0 : 1

  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  attribute_condition                = local.github_condition

  attribute_mapping = {
    "google.subject"          = "assertion.sub"
    "attribute.repository_id" = "assertion.repository_id"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_artifact_registry_repository" "images" {
  count = var.github == null ? 0 : 1

  repository_id = var.name
  location      = local.region
  format        = "DOCKER"
  description   = "Images pushed by ${var.github.repository}"

  depends_on = [google_project_service.this]
}

resource "google_artifact_registry_repository_iam_member" "push" {
  count = var.github == null ? 0 : 1

  repository = google_artifact_registry_repository.images[0].name
  location   = google_artifact_registry_repository.images[0].location
  role       = "roles/artifactregistry.writer"
  member     = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/attribute.repository_id/${var.github.repository_id}"
}

resource "google_artifact_registry_repository_iam_member" "pull" {
  count = var.github == null ? 0 : 1

  repository = google_artifact_registry_repository.images[0].name
  location   = google_artifact_registry_repository.images[0].location
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}
