# An archive of more than 3 670 016 bytes reaches a function through a bucket only.

resource "yandex_storage_bucket" "code" {
  bucket    = "${var.name}-${var.folder_id}"
  folder_id = var.folder_id
}

# The hash is in the key, so that new code has a new name: the provider compares names, never contents.
resource "yandex_storage_object" "package" {
  for_each = local.manifest.functions

  bucket = yandex_storage_bucket.code.bucket
  key    = "packages/${each.key}-${each.value.sha256}.zip"
  source = "${var.packages}/${each.value.file}"

  lifecycle {
    precondition {
      condition     = each.value.sha256 == filesha256("${var.packages}/${each.value.file}")
      error_message = "The archive of ${each.key} is not the one in manifest.json; run make package-yandex again."
    }
  }
}

# One name for good: the functions read it again every minute, so a change of the policy deploys nothing.
resource "yandex_storage_object" "policy" {
  bucket       = yandex_storage_bucket.code.bucket
  key          = "policy.json"
  content      = var.image_policy
  content_type = "application/json"
}
