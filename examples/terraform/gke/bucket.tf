resource "google_storage_bucket" "artifacts" {
  name                        = local.bucket
  location                    = local.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # A checkpoint is replaced every half minute, and results are created once and never changed: keeping what was replaced
  # costs a lot and helps nobody.
  versioning {
    enabled = false
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Left by rounds that never came back.
  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age            = 14
      matches_suffix = ["/checkpoint.safetensors"]
    }
  }

  depends_on = [google_project_service.this]
}

# Reads, lists, creates, replaces and deletes objects of this bucket; no key, and no service account of Google's between.
resource "google_storage_bucket_iam_member" "rounds" {
  for_each = var.experiment_namespaces

  bucket = google_storage_bucket.artifacts.name
  role   = "roles/storage.objectUser"
  member = "${local.pool}/subject/ns/${each.key}/sa/${var.runner_service_account}"

  # The pool of a project is there once its first cluster is.
  depends_on = [google_container_cluster.this]
}
