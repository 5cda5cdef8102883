variable "project_id" {
  description = "Project that everything is made in: its id, such as my-project, not its number."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id, such as my-project: gcloud projects list shows it in its first column."
  }
}

variable "zone" {
  description = "Zone of the cluster and its nodes. It must have T4s: gcloud compute accelerator-types list tells which have."
  type        = string
  default     = "europe-west4-a"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone))
    error_message = "zone must be a zone, such as europe-west4-a, not a region."
  }
}

variable "name" {
  description = "Name of the cluster, and first part of the names of what belongs to it."
  type        = string
  default     = "ticketsmith"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 20 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "bucket" {
  description = "Name of the artifact bucket, unique in the whole of Google Cloud; null is PROJECT-NAME."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must have 3 to 63 lower-case letters, digits and hyphens, without gs:// before it."
  }
}

variable "experiment_namespaces" {
  description = "Kubernetes namespaces whose rounds may write to the bucket."
  type        = set(string)
  default     = ["experiments"]

  validation {
    condition     = alltrue([for name in var.experiment_namespaces : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])
    error_message = "experiment_namespaces must be names of Kubernetes namespaces."
  }
}

variable "runner_service_account" {
  description = "Kubernetes service account of the rounds (runner.serviceAccountName) that may write to the bucket."
  type        = string
  default     = "ticketsmith-runner"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.runner_service_account))
    error_message = "runner_service_account must be the name of a Kubernetes service account, not an e-mail address."
  }
}

variable "gpu_type" {
  description = "Accelerator of a GPU node, one each."
  type        = string
  default     = "nvidia-tesla-t4"

  validation {
    condition     = contains(["nvidia-tesla-t4", "nvidia-tesla-v100", "nvidia-tesla-p100"], var.gpu_type)
    error_message = "gpu_type must be one that N1 machines take: nvidia-tesla-t4, nvidia-tesla-v100 or nvidia-tesla-p100."
  }
}

variable "gpu_machine_type" {
  description = "Machine of a GPU node. T4s are attached to N1 machines."
  type        = string
  default     = "n1-standard-4"

  validation {
    condition     = can(regex("^n1-(standard|highmem|highcpu)-[0-9]+$", var.gpu_machine_type))
    error_message = "gpu_machine_type must be an N1 machine, such as n1-standard-4."
  }
}

variable "gpu_spot" {
  description = "Whether GPU nodes are spot machines: cheaper, and taken away when Google needs them. A round then goes on elsewhere."
  type        = bool
  default     = true
}

variable "gpu_max_nodes" {
  description = "Most GPU nodes at a time, so most GPUs that can cost money at a time. None are kept when nothing waits for them."
  type        = number
  default     = 4

  validation {
    condition     = var.gpu_max_nodes >= 1 && var.gpu_max_nodes <= 100 && floor(var.gpu_max_nodes) == var.gpu_max_nodes
    error_message = "gpu_max_nodes must be a whole number from 1 to 100."
  }
}

variable "github" {
  description = "GitHub repository whose workflows may push images: its name, and its number (gh api repos/OWNER/NAME --jq .id), which no later owner of the name has. Null makes neither registry nor trust."
  type = object({
    repository    = string
    repository_id = string
  })
  default = null

  validation {
    condition     = var.github == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "github.repository must be owner/name, without a host."
  }

  validation {
    condition     = var.github == null ? true : can(regex("^[0-9]+$", var.github.repository_id))
    error_message = "github.repository_id must be the repository's number: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "budget" {
  description = "Monthly sum after which Google writes to the billing account's administrators, at half, at 90% and at all of it. It stops nothing. Null makes none."
  type = object({
    billing_account = string
    currency        = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account must look like 012345-6789AB-CDEF01: gcloud billing accounts list shows it."
  }

  validation {
    condition     = var.budget == null ? true : var.budget.amount >= 1
    error_message = "budget.amount must be at least 1, in budget.currency, which must be the billing account's."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the cluster. Results are in the bucket, which is never deleted while anything is in it."
  type        = bool
  default     = false
}
