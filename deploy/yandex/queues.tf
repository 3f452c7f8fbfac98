# A queue's id is its URL, which clients want; triggers and redrive policies want its ARN. The folder is that of the deploy key's
# service account: there is no argument for it. region_id is set because its default would sign requests for ru-central1;
# it has to be the region in the queue's ARN.

resource "yandex_message_queue" "poll_dead_letters" {
  name                      = "${var.name}-poll-dead-letters"
  region_id                 = local.endpoints.signed
  message_retention_seconds = 1209600
}

resource "yandex_message_queue" "poll" {
  name                       = "${var.name}-poll"
  region_id                  = local.endpoints.signed
  visibility_timeout_seconds = 360 # 6 x the timeout of poll-operation
  message_retention_seconds  = 345600
  redrive_policy = jsonencode({
    deadLetterTargetArn = yandex_message_queue.poll_dead_letters.arn
    maxReceiveCount     = 5
  })
}

# Where the timers and the trail's trigger leave what failed; the queue trigger may have none and uses the redrive policy.
resource "yandex_message_queue" "events_dead_letters" {
  name                      = "${var.name}-events-dead-letters"
  region_id                 = local.endpoints.signed
  message_retention_seconds = 1209600
}
