# Four accounts, so that none can do what another is for: the functions act on images and hold no key, the static key reaches
# the queue, the ledger and the bucket and no image, triggers may call the functions, the trail may write its log.

resource "yandex_iam_service_account" "functions" {
  name        = "${var.name}-functions"
  description = "What the functions run as."
}

resource "yandex_iam_service_account" "data" {
  name        = "${var.name}-data"
  description = "Whose static key the functions use for the queue, the ledger and the bucket."
}

resource "yandex_iam_service_account" "triggers" {
  name        = "${var.name}-triggers"
  description = "What triggers call the functions as."
}

resource "yandex_iam_service_account" "trail" {
  count = local.same_region && var.audit_trail ? 1 : 0

  name        = "${var.name}-trail"
  description = "What the trail reads and writes audit records as."
}

# ---------------------------------------------------------------- functions: images

resource "yandex_resourcemanager_folder_iam_member" "desktop_images" {
  for_each = local.target_folders

  folder_id   = each.value
  role        = var.desktop_role
  member      = "serviceAccount:${yandex_iam_service_account.functions.id}"
  sleep_after = 30
}

resource "yandex_resourcemanager_folder_iam_member" "see_compute_images" {
  for_each = local.source_folders

  folder_id   = each.value
  role        = "compute.auditor"
  member      = "serviceAccount:${yandex_iam_service_account.functions.id}"
  sleep_after = 30
}

resource "yandex_resourcemanager_folder_iam_member" "use_compute_images" {
  for_each = local.source_folders

  folder_id   = each.value
  role        = "compute.images.user"
  member      = "serviceAccount:${yandex_iam_service_account.functions.id}"
  sleep_after = 30
}

# Quotas belong to the cloud; asked for only where the policy names one (quota.cloud_id).
resource "yandex_resourcemanager_cloud_iam_member" "see_quotas" {
  for_each = local.quota_clouds

  cloud_id    = each.value
  role        = "quota-manager.viewer"
  member      = "serviceAccount:${yandex_iam_service_account.functions.id}"
  sleep_after = 30
}

# Authoritative for the role on this bucket, which is ours alone. A version's own account fetches its code.
resource "yandex_storage_bucket_iam_binding" "read" {
  bucket = yandex_storage_bucket.code.bucket
  role   = "storage.viewer"
  members = [
    "serviceAccount:${yandex_iam_service_account.functions.id}",
    "serviceAccount:${yandex_iam_service_account.data.id}",
  ]
}

# ---------------------------------------------------------------- functions: the static key

resource "yandex_lockbox_secret" "static_key" {
  name        = "${var.name}-static-key"
  description = "Static key of ${var.name}-data, written here by Terraform and nowhere else."
}

resource "yandex_iam_service_account_static_access_key" "data" {
  service_account_id = yandex_iam_service_account.data.id
  description        = "Used by the functions of ${var.name}; replace it with terraform apply -replace."

  output_to_lockbox {
    secret_id            = yandex_lockbox_secret.static_key.id
    entry_for_access_key = "access-key-id"
    entry_for_secret_key = "secret-access-key"
  }

  lifecycle {
    create_before_destroy = true # the functions go on with the old key until their new version is there
  }
}

resource "yandex_lockbox_secret_iam_member" "read_static_key" {
  secret_id = yandex_lockbox_secret.static_key.id
  role      = "lockbox.payloadViewer"
  member    = "serviceAccount:${yandex_iam_service_account.functions.id}"
}

resource "yandex_lockbox_secret_iam_member" "read_secret" {
  for_each = toset([for secret in values(var.secrets) : secret.secret_id])

  secret_id = each.value
  role      = "lockbox.payloadViewer"
  member    = "serviceAccount:${yandex_iam_service_account.functions.id}"
}

resource "yandex_resourcemanager_folder_iam_member" "send_wake_ups" {
  folder_id   = var.folder_id
  role        = "ymq.writer"
  member      = "serviceAccount:${yandex_iam_service_account.data.id}"
  sleep_after = 30
}

# There is no narrower role that writes rows. Authoritative for the role on this database, which is ours alone.
resource "yandex_ydb_database_iam_binding" "keep_ledger" {
  database_id = yandex_ydb_database_serverless.ledger.id
  role        = "ydb.editor"
  members     = ["serviceAccount:${yandex_iam_service_account.data.id}"]
}

# ---------------------------------------------------------------- triggers and callers

resource "yandex_function_iam_member" "triggered" {
  for_each = local.functions

  function_id = yandex_function.this[each.key].id
  role        = "functions.functionInvoker"
  member      = "serviceAccount:${yandex_iam_service_account.triggers.id}"
}

resource "yandex_function_iam_member" "called" {
  for_each = { for pair in setproduct(keys(local.functions), var.callers) : "${pair[0]} ${pair[1]}" => pair }

  function_id = yandex_function.this[each.value[0]].id
  role        = "functions.functionInvoker"
  member      = each.value[1]
}

# This provider can grant roles for queues and log groups on their folder only.
resource "yandex_resourcemanager_folder_iam_member" "receive_wake_ups" {
  folder_id   = var.folder_id
  role        = "ymq.reader"
  member      = "serviceAccount:${yandex_iam_service_account.triggers.id}"
  sleep_after = 30
}

resource "yandex_resourcemanager_folder_iam_member" "keep_failed_events" {
  folder_id   = var.folder_id
  role        = "ymq.writer"
  member      = "serviceAccount:${yandex_iam_service_account.triggers.id}"
  sleep_after = 30
}

resource "yandex_resourcemanager_folder_iam_member" "read_trail_log" {
  count = length(yandex_iam_service_account.trail)

  folder_id   = var.folder_id
  role        = "logging.reader"
  member      = "serviceAccount:${yandex_iam_service_account.triggers.id}"
  sleep_after = 30
}

# ---------------------------------------------------------------- trail

resource "yandex_resourcemanager_folder_iam_member" "read_audit_records" {
  for_each = var.audit_trail ? local.source_folders : toset([])

  folder_id   = each.value
  role        = "audit-trails.viewer"
  member      = "serviceAccount:${yandex_iam_service_account.trail[0].id}"
  sleep_after = 30
}

resource "yandex_resourcemanager_folder_iam_member" "write_trail_log" {
  count = length(yandex_iam_service_account.trail)

  folder_id   = var.folder_id
  role        = "logging.writer"
  member      = "serviceAccount:${yandex_iam_service_account.trail[0].id}"
  sleep_after = 30
}
