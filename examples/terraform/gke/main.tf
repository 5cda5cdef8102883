data "google_project" "this" {
  project_id = var.project_id
}

locals {
  region = join("-", slice(split("-", var.zone), 0, 2))
  bucket = coalesce(var.bucket, "${var.project_id}-${var.name}")

  # Principals are told by the project's *number*. With its id in that place the grant is accepted, and grants nothing.
  pool = "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${var.project_id}.svc.id.goog"

  services = ["artifactregistry", "billingbudgets", "compute", "container", "iam", "iamcredentials", "storage", "sts"]
}

resource "google_project_service" "this" {
  for_each = toset(local.services)

  project            = var.project_id
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
