# The older of the two trigger resources: numbers are strings here. A trigger begins to work within five minutes.

resource "yandex_function_trigger" "sweep" {
  name        = "${var.name}-sweep"
  description = "Compares the world with the policy and wakes what sleeps too long."

  timer {
    cron_expression = var.sweep_schedule
    payload         = jsonencode({ source = "schedule", action = "sweep" })
  }

  function {
    id                 = yandex_function.this["copy-on-new-compute-image"].id
    service_account_id = yandex_iam_service_account.triggers.id
    retry_attempts     = "2"
    retry_interval     = "60"
  }

  dlq {
    queue_id           = yandex_message_queue.events_dead_letters.arn
    service_account_id = yandex_iam_service_account.triggers.id
  }

  depends_on = [
    yandex_function_iam_member.triggered,
    yandex_resourcemanager_folder_iam_member.keep_failed_events,
  ]
}

resource "yandex_function_trigger" "cleanup" {
  name        = "${var.name}-cleanup"
  description = "Makes the cleanup plan, and carries it out where the policy says so."

  timer {
    cron_expression = var.cleanup_schedule
    payload         = jsonencode({ source = "schedule", action = "cleanup" })
  }

  function {
    id                 = yandex_function.this["cleanup"].id
    service_account_id = yandex_iam_service_account.triggers.id
    retry_attempts     = "2"
    retry_interval     = "60"
  }

  dlq {
    queue_id           = yandex_message_queue.events_dead_letters.arn
    service_account_id = yandex_iam_service_account.triggers.id
  }

  depends_on = [
    yandex_function_iam_member.triggered,
    yandex_resourcemanager_folder_iam_member.keep_failed_events,
  ]
}

# One message a call: the trigger knows no partial success, so a failing message would bring its whole batch back.
resource "yandex_function_trigger" "poll" {
  name        = "${var.name}-poll"
  description = "Hands each wake-up to poll-operation."

  message_queue {
    queue_id           = yandex_message_queue.poll.arn
    service_account_id = yandex_iam_service_account.triggers.id
    batch_size         = "1"
    batch_cutoff       = "1"
  }

  function {
    id                 = yandex_function.this["poll-operation"].id
    service_account_id = yandex_iam_service_account.triggers.id
  }

  depends_on = [
    yandex_function_iam_member.triggered,
    yandex_resourcemanager_folder_iam_member.receive_wake_ups,
  ]
}

resource "yandex_function_trigger" "new_image" {
  count = length(yandex_audit_trails_trail.images)

  name        = "${var.name}-new-image"
  description = "Hands audit records to copy-on-new-compute-image, which leaves all but new images alone."

  logging {
    group_id     = yandex_logging_group.trail[0].id
    batch_size   = "10"
    batch_cutoff = "10"
  }

  function {
    id                 = yandex_function.this["copy-on-new-compute-image"].id
    service_account_id = yandex_iam_service_account.triggers.id
    retry_attempts     = "2"
    retry_interval     = "60"
  }

  dlq {
    queue_id           = yandex_message_queue.events_dead_letters.arn
    service_account_id = yandex_iam_service_account.triggers.id
  }

  depends_on = [
    yandex_function_iam_member.triggered,
    yandex_resourcemanager_folder_iam_member.keep_failed_events,
    yandex_resourcemanager_folder_iam_member.read_trail_log,
  ]
}
