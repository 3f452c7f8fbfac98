locals {
  # kz1: the API and storage hosts are in public use. The host of Message Queue is a guess after the pattern of the others, and
  # the one that functions are called at is not known; where it is empty there is no gateway. That requests there are signed for
  # kz1 is known of Object Storage alone. var.endpoints puts them right.
  regions = {
    "kz1" = {
      api       = "api.yandexcloud.kz:443"
      storage   = "https://storage.yandexcloud.kz"
      queue     = "message-queue.api.yandexcloud.kz"
      functions = ""
      signed    = "kz1"
    }
    "ru-central1" = {
      api       = "api.cloud.yandex.net:443"
      storage   = "https://storage.yandexcloud.net"
      queue     = "message-queue.api.cloud.yandex.net"
      functions = "https://functions.yandexcloud.net"
      signed    = "ru-central1"
    }
  }
  endpoints = merge(local.regions[var.region], { for name, value in var.endpoints : name => value if value != null })

  desktop_region = coalesce(var.desktop_region, var.region)
  # Roles and trails reach what lies in this region; for another one the authorized key's account has to have them already.
  same_region = local.desktop_region == var.region

  policy         = jsondecode(var.image_policy)
  source_folders = local.same_region ? toset([for route in local.policy.routes : route.source.folder_id]) : toset([])
  target_folders = local.same_region ? toset([for route in local.policy.routes : route.target.folder_id]) : toset([])
  quota_clouds   = local.same_region ? toset(compact([try(local.policy.quota.cloud_id, null)])) : toset([])

  manifest = jsondecode(file("${var.packages}/manifest.json"))
  # Seconds and megabytes, as on AWS (template.yaml).
  functions = {
    "copy-on-new-compute-image" = {
      description = "Starts the copy of each compute image that a route selects."
      timeout     = 300
      memory      = 512
    }
    "poll-operation" = {
      description = "Looks at running operations until each copy and each deletion has its verdict."
      timeout     = 60
      memory      = 256
    }
    "cleanup" = {
      description = "Plans which desktop images go, and retires them where the policy says so."
      timeout     = 120
      memory      = 256
    }
  }

  # Names and values of all variables of a function, secrets included, may take 4 KB: the policy is in the bucket.
  environment = {
    PLATFORM                  = "yandex"
    YC_REGION                 = local.desktop_region
    POLL_QUEUE_URL            = yandex_message_queue.poll.id
    COPIES_TABLE              = aws_dynamodb_table.copies.name
    IMAGE_POLICY              = "s3://${yandex_storage_object.policy.bucket}/${yandex_storage_object.policy.key}"
    AWS_REGION                = local.endpoints.signed
    AWS_ENDPOINT_URL_SQS      = regex("^https?://[^/]+", yandex_message_queue.poll.id)
    AWS_ENDPOINT_URL_DYNAMODB = yandex_ydb_database_serverless.ledger.document_api_endpoint
    AWS_ENDPOINT_URL_S3       = startswith(local.endpoints.storage, "https://") ? local.endpoints.storage : "https://${local.endpoints.storage}"
    POWERTOOLS_SERVICE_NAME   = var.name
    POWERTOOLS_LOG_LEVEL      = var.log_level
  }
  static_key = {
    AWS_ACCESS_KEY_ID = {
      secret_id  = yandex_lockbox_secret.static_key.id
      version_id = yandex_iam_service_account_static_access_key.data.output_to_lockbox_version_id
      key        = "access-key-id"
    }
    AWS_SECRET_ACCESS_KEY = {
      secret_id  = yandex_lockbox_secret.static_key.id
      version_id = yandex_iam_service_account_static_access_key.data.output_to_lockbox_version_id
      key        = "secret-access-key"
    }
  }

  # Kept equal to the routes of template.yaml by a test.
  routes = {
    "/images:copy"                     = { post = "copy-on-new-compute-image" }
    "/sweep"                           = { post = "copy-on-new-compute-image" }
    "/copies"                          = { get = "poll-operation" }
    "/copies/{folderId}/{imageId}"     = { get = "poll-operation" }
    "/operations/{operationId}"        = { get = "poll-operation" }
    "/cleanup"                         = { get = "cleanup", post = "cleanup" }
    "/copies/{folderId}/{imageId}/pin" = { post = "cleanup", delete = "cleanup" }
  }
}
