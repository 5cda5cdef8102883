terraform {
  required_version = "~> 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = local.region

  # Budgets are asked of the project that is set up here, not of the one your login happens to belong to.
  billing_project       = var.project_id
  user_project_override = true
}
