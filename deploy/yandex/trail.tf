# Not the group of the functions: each of their lines would call them again.
resource "yandex_logging_group" "trail" {
  count = length(yandex_iam_service_account.trail)

  name             = "${var.name}-trail"
  description      = "Audit records of the folders that images come from."
  retention_period = var.log_retention
}

# A trail cannot be narrowed to an event type: it carries every management event of these folders.
resource "yandex_audit_trails_trail" "images" {
  count = length(yandex_iam_service_account.trail)

  name               = "${var.name}-images"
  description        = "Tells of new compute images."
  folder_id          = var.folder_id
  service_account_id = yandex_iam_service_account.trail[0].id

  logging_destination {
    log_group_id = yandex_logging_group.trail[0].id
  }

  filtering_policy {
    management_events_filter {
      dynamic "resource_scope" {
        for_each = local.source_folders

        content {
          resource_id   = resource_scope.value
          resource_type = "resource-manager.folder"
        }
      }
    }
  }

  depends_on = [
    yandex_resourcemanager_folder_iam_member.read_audit_records,
    yandex_resourcemanager_folder_iam_member.write_trail_log,
  ]
}

check "trail" {
  assert {
    condition     = alltrue([for trail in yandex_audit_trails_trail.images : trail.status == "ACTIVE"])
    error_message = "The trail is not ACTIVE, most often because a role is missing. Until it is, only the sweep finds new images."
  }
}
