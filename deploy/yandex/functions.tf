resource "yandex_logging_group" "functions" {
  name             = "${var.name}-functions"
  description      = "What the functions say."
  retention_period = var.log_retention
}

resource "yandex_function" "this" {
  for_each = local.functions

  name               = "${var.name}-${each.key}"
  description        = each.value.description
  runtime            = local.manifest.runtime
  entrypoint         = local.manifest.functions[each.key].entryPoint
  memory             = each.value.memory
  execution_timeout  = tostring(each.value.timeout)
  service_account_id = yandex_iam_service_account.functions.id
  environment        = merge(local.environment, var.api_origins)
  user_hash          = local.manifest.functions[each.key].sha256

  package {
    bucket_name = yandex_storage_object.package[each.key].bucket
    object_name = yandex_storage_object.package[each.key].key
    sha_256     = local.manifest.functions[each.key].sha256
  }

  dynamic "secrets" {
    for_each = merge(local.static_key, var.secrets)

    content {
      id                   = secrets.value.secret_id
      version_id           = secrets.value.version_id
      key                  = secrets.value.key
      environment_variable = secrets.key
    }
  }

  log_options {
    log_group_id = yandex_logging_group.functions.id
  }

  # The account's token comes from the metadata service where the context brings none. The AWS form of that service stays off.
  metadata_options {
    gce_http_endpoint    = 1
    aws_v1_http_endpoint = 2
  }

  depends_on = [
    yandex_lockbox_secret_iam_member.read_secret,
    yandex_lockbox_secret_iam_member.read_static_key,
    yandex_storage_bucket_iam_binding.read,
  ]

  lifecycle {
    # The provider only warns when a version cannot be made.
    postcondition {
      condition     = try(length(self.version) > 0, false)
      error_message = "The function ${each.key} has no version. The warning above says why; most often a role was not in force yet, and another apply makes it."
    }
  }
}
