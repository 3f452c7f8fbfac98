terraform {
  # 1.10 brought ephemeral variables: the deploy key reaches the providers and neither the state nor a plan file.
  required_version = ">= 1.10"

  required_providers {
    yandex = {
      source = "yandex-cloud/yandex"
      # 0.221 brought yandex_function_iam_member; 0.222 is the version these arguments were read from.
      version = ">= 0.222.0, < 1.0.0"
    }

    # Only for the ledger's table: Yandex documents aws_dynamodb_table, and this major version, for document tables. Version 6
    # waits for an answer of DescribeTable that the Document API is not known to give.
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

# Signs in with YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE of the environment.
provider "yandex" {
  cloud_id         = var.cloud_id
  folder_id        = var.folder_id
  region_id        = var.region
  endpoint         = local.endpoints.api
  storage_endpoint = local.endpoints.storage
  ymq_endpoint     = local.endpoints.queue
  ymq_access_key   = var.deploy_key_id
  ymq_secret_key   = var.deploy_key_secret
}

# The endpoint is only known once the database exists: the first apply makes the database alone (docs/deploy-yandex.md).
provider "aws" {
  region                      = local.endpoints.signed
  access_key                  = var.deploy_key_id
  secret_key                  = var.deploy_key_secret
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  endpoints {
    dynamodb = yandex_ydb_database_serverless.ledger.document_api_endpoint
  }
}
