output "api_url" {
  description = "Origin of the gateway; send Authorization: Bearer and an IAM token. Empty where there is none."
  value       = try("https://${yandex_api_gateway.this[0].domain}", "")
}

output "function_ids" {
  description = "The functions, by name: for yc serverless function invoke, and for calls without a gateway."
  value       = { for name, function in yandex_function.this : name => function.id }
}

output "function_versions" {
  description = "The version in use of each function; a new one appears with each change."
  value       = { for name, function in yandex_function.this : name => function.version }
}

output "poll_queue_url" {
  description = "Wake-ups."
  value       = yandex_message_queue.poll.id
}

output "poll_dead_letters_url" {
  description = "Wake-ups that were given up; the sweep wakes their copies again."
  value       = yandex_message_queue.poll_dead_letters.id
}

output "events_dead_letters_url" {
  description = "Timer calls and audit records that were given up, with their errors."
  value       = yandex_message_queue.events_dead_letters.id
}

output "document_api_endpoint" {
  description = "Where the ledger answers, in the manner of DynamoDB."
  value       = yandex_ydb_database_serverless.ledger.document_api_endpoint
}

output "copies_table" {
  description = "The ledger."
  value       = aws_dynamodb_table.copies.name
}

output "bucket" {
  description = "The code and the policy (policy.json)."
  value       = yandex_storage_bucket.code.bucket
}

output "log_group_id" {
  description = "What the functions say: yc logging read --group-id."
  value       = yandex_logging_group.functions.id
}

output "trail_status" {
  description = "ACTIVE where the trail works, empty where there is none."
  value       = try(yandex_audit_trails_trail.images[0].status, "")
}

output "functions_account_id" {
  description = "The functions' service account, for roles beyond those granted here."
  value       = yandex_iam_service_account.functions.id
}
