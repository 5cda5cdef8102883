variable "subscription_id" {
  description = "Subscription that everything is made in: az account show tells yours."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id must be a subscription's id, not its name: az account show --query id"
  }
}

variable "location" {
  description = "Region. It must have the GPU machine, and quota for it: az vm list-usage tells."
  type        = string
  default     = "westeurope"

  validation {
    condition     = can(regex("^[a-z]+[0-9]?$", var.location))
    error_message = "location must be a region's short name, such as westeurope."
  }
}

variable "name" {
  description = "Name of the cluster and its resource group, and first part of the names of what belongs to them."
  type        = string
  default     = "ticketsmith"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,14}$", var.name))
    error_message = "name must have 3 to 15 lower-case letters and digits, and begin with a letter."
  }
}

variable "storage_account" {
  description = "Name of the storage account, unique in the whole of Azure."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.storage_account))
    error_message = "storage_account must have 3 to 24 lower-case letters and digits."
  }
}

variable "share_gib" {
  description = "Size of the share with the artifacts, in GiB. Premium shares are paid for by their size, not by what is in them."
  type        = number
  default     = 100

  validation {
    condition     = var.share_gib >= 100 && var.share_gib <= 102400
    error_message = "share_gib must be from 100, the least a premium share can be, to 102400."
  }
}

variable "api_server_ranges" {
  description = "Addresses from which the API server answers, such as [\"203.0.113.7/32\"]: those of the people who use it."
  type        = set(string)

  validation {
    condition     = length(var.api_server_ranges) > 0 && alltrue([for range in var.api_server_ranges : can(cidrhost(range, 0))])
    error_message = "api_server_ranges must name at least one range, such as 203.0.113.7/32."
  }

  validation {
    condition     = alltrue([for range in var.api_server_ranges : !endswith(range, "/0")])
    error_message = "api_server_ranges must not let in everybody."
  }
}

variable "gpu_machine_type" {
  description = "Machine of a GPU node. Standard_NC4as_T4_v3 has one T4."
  type        = string
  default     = "Standard_NC4as_T4_v3"

  validation {
    condition     = can(regex("^Standard_N[A-Za-z0-9_]+$", var.gpu_machine_type))
    error_message = "gpu_machine_type must be a GPU machine, such as Standard_NC4as_T4_v3."
  }
}

variable "gpu_spot" {
  description = "Whether GPU nodes are spot machines: cheaper, and taken away when Azure needs them. A round then goes on elsewhere."
  type        = bool
  default     = true
}

variable "gpu_max_nodes" {
  description = "Most GPU nodes at a time. None are kept when nothing waits for them."
  type        = number
  default     = 4

  validation {
    condition     = var.gpu_max_nodes >= 1 && var.gpu_max_nodes <= 100 && floor(var.gpu_max_nodes) == var.gpu_max_nodes
    error_message = "gpu_max_nodes must be a whole number from 1 to 100."
  }
}

variable "budget" {
  description = "Monthly sum, in the subscription's currency, after which Azure writes to these people, at half, at 90% and at all of it. It stops nothing. Null makes none. start is the first day of a month."
  type = object({
    amount = number
    emails = list(string)
    start  = string
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9]{4}-[0-9]{2}-01$", var.budget.start))
    error_message = "budget.start must be the first day of a month, such as 2026-12-01."
  }

  validation {
    condition     = var.budget == null ? true : var.budget.amount >= 1 && length(var.budget.emails) > 0
    error_message = "budget.amount must be at least 1, and budget.emails must name somebody."
  }
}
