# The memory of what was copied and what was retired: without it every image would be copied once more.

resource "yandex_ydb_database_serverless" "ledger" {
  name                = var.name
  description         = "The ledger of copied images."
  deletion_protection = var.deletion_protection

  serverless_database {
    storage_size_limit = 1 # gigabyte; a row is below 2 KB
  }
}

# A document table, which yandex_ydb_table cannot make. Time to live (attribute expires_at) is switched on by hand, because Yandex
# documents the call and not this resource's argument for it; without it some records of cleanup runs stay for good.
resource "aws_dynamodb_table" "copies" {
  name         = "copies"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "folder_id"
  range_key    = "image_id"

  attribute {
    name = "folder_id"
    type = "S"
  }

  attribute {
    name = "image_id"
    type = "S"
  }

  lifecycle {
    prevent_destroy = true
  }
}
