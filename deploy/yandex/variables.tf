# ---------------------------------------------------------------- where

variable "cloud_id" {
  description = "Cloud that the folder is in."
  type        = string
}

variable "folder_id" {
  description = "Folder that everything is made in. A folder of its own is best: roles for queues and log groups can only be granted on the whole folder."
  type        = string
}

variable "region" {
  description = "Region that the functions run in: kz1 or ru-central1. It is not confirmed that kz1 has Cloud Functions; see desktop_region."
  type        = string
  default     = "kz1"

  validation {
    condition     = contains(["kz1", "ru-central1"], var.region)
    error_message = "The region must be kz1 or ru-central1."
  }
}

variable "desktop_region" {
  description = "Region of Cloud Desktop and of the compute images, if it is another one than the functions' own. The regions share no accounts, so this needs the authorized key of a service account there, in secrets."
  type        = string
  default     = null

  validation {
    condition     = var.desktop_region == null || contains(["kz1", "ru-central1"], coalesce(var.desktop_region, "none"))
    error_message = "The region of the desktops must be kz1 or ru-central1, or left out."
  }

  validation {
    condition     = coalesce(var.desktop_region, var.region) == var.region || contains(keys(var.secrets), "YC_SERVICE_ACCOUNT_KEY_FILE")
    error_message = "A service account of one region is unknown in the other: give secrets an entry YC_SERVICE_ACCOUNT_KEY_FILE."
  }
}

variable "name" {
  description = "Prefix of all names, and the service that log lines name."
  type        = string
  default     = "desktop-images"

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{1,29}$", var.name))
    error_message = "The name must be 2 to 30 characters of a-z, 0-9 and -, a letter first."
  }
}

# ---------------------------------------------------------------- what to copy

variable "image_policy" {
  description = "The routes, as JSON; file(\"policy.json\") reads them from a file. It is kept in the bucket, and a change is in force within a minute."
  type        = string

  validation {
    condition     = can([for route in jsondecode(var.image_policy).routes : [route.source.folder_id, route.target.folder_id]])
    error_message = "The policy must be JSON with a list of routes, each with source.folder_id and target.folder_id."
  }
}

variable "sweep_schedule" {
  description = "How often the world is compared with the policy: minutes, hours, day of month, month, day of week, year, in UTC."
  type        = string
  default     = "0/15 * ? * * *"

  validation {
    condition     = length(split(" ", var.sweep_schedule)) == 6 && length(regexall("\\?", var.sweep_schedule)) == 1
    error_message = "A schedule has six fields, and ? in exactly one of the two for days."
  }
}

variable "cleanup_schedule" {
  description = "How often the cleanup plan is made, and carried out where the policy says so; six fields as in sweep_schedule."
  type        = string
  default     = "30 3 ? * * *"

  validation {
    condition     = length(split(" ", var.cleanup_schedule)) == 6 && length(regexall("\\?", var.cleanup_schedule)) == 1
    error_message = "A schedule has six fields, and ? in exactly one of the two for days."
  }
}

variable "audit_trail" {
  description = "Whether a trail reports new compute images within a minute. Without one the sweep finds them. A cloud may have five trails."
  type        = bool
  default     = true
}

# ---------------------------------------------------------------- who may

variable "desktop_role" {
  description = "Role of the functions on the folders that images are copied to. No role text names desktop images: vdi.editor is the least that can be expected to do, vdi.admin the next."
  type        = string
  default     = "vdi.editor"

  validation {
    condition     = contains(["vdi.editor", "vdi.admin"], var.desktop_role)
    error_message = "The role must be vdi.editor or vdi.admin."
  }
}

variable "callers" {
  description = "Who may call the functions over HTTP, such as userAccount:aje..., group:aje... or serviceAccount:aje...; nobody by default. Triggers need no entry."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for caller in var.callers : can(regex("^(userAccount|federatedUser|serviceAccount|group):[a-z0-9:]+$", caller))])
    error_message = "A caller is userAccount:, federatedUser:, serviceAccount: or group: and an id. The functions are never open to everybody."
  }
}

variable "api_gateway" {
  description = "Whether to put one address with readable paths before the functions. It has no rights of its own: Cloud Functions checks the token of whoever calls."
  type        = bool
  default     = true
}

variable "secrets" {
  description = "Lockbox secrets for NOTIFY_WEBHOOK_URL (where verdicts are posted to) and YC_SERVICE_ACCOUNT_KEY_FILE (an authorized key, as JSON, in place of the functions' own account)."
  type = map(object({
    secret_id  = string
    version_id = string
    key        = string
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.secrets), ["NOTIFY_WEBHOOK_URL", "YC_SERVICE_ACCOUNT_KEY_FILE"])) == 0
    error_message = "Only NOTIFY_WEBHOOK_URL and YC_SERVICE_ACCOUNT_KEY_FILE come from secrets."
  }
}

variable "deploy_key_id" {
  description = "Id of a static access key of the deploying service account (roles ymq.admin and ydb.editor on the folder). Set it as TF_VAR_deploy_key_id."
  type        = string
  ephemeral   = true
}

variable "deploy_key_secret" {
  description = "Secret part of that key. Set it as TF_VAR_deploy_key_secret; it is stored nowhere."
  type        = string
  ephemeral   = true
  sensitive   = true
}

# ---------------------------------------------------------------- rarely needed

variable "api_origins" {
  description = "Origins of the Yandex APIs in place of the desktop region's, by the functions' own variable: YC_CLOUD_DESKTOP_URL, YC_COMPUTE_URL, YC_OPERATION_URL, YC_IAM_URL, YC_QUOTA_URL."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name, origin in var.api_origins :
      contains(["YC_CLOUD_DESKTOP_URL", "YC_COMPUTE_URL", "YC_OPERATION_URL", "YC_IAM_URL", "YC_QUOTA_URL"], name) && can(regex("^https://[^/]+$", origin))
    ])
    error_message = "An origin is https:// and a host, under one of the five names."
  }
}

variable "endpoints" {
  description = "Endpoints of the region in place of the known ones: api (host:port), storage and queue (host), functions (origin), and the region that requests with the static key are signed for (signed). kz1 needs functions for the gateway, and perhaps queue and signed."
  type = object({
    api       = optional(string)
    storage   = optional(string)
    queue     = optional(string)
    functions = optional(string)
    signed    = optional(string)
  })
  default = {}
}

variable "log_level" {
  description = "Least severity that the functions log."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "The level must be DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_retention" {
  description = "How long logs are kept, in hours, such as 720h."
  type        = string
  default     = "720h"

  validation {
    condition     = can(regex("^[1-9][0-9]*h$", var.log_retention))
    error_message = "The retention must be a number of hours, such as 720h."
  }
}

variable "deletion_protection" {
  description = "Whether the database with the ledger refuses to be deleted."
  type        = bool
  default     = true
}

variable "packages" {
  description = "Directory that `make package-yandex` filled."
  type        = string
  default     = "../../dist/yandex"
}
