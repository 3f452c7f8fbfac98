"""Message Queue, the Document API and Object Storage on this machine: moto, with what deploy/yandex makes there."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from local.host import DeadLetter
from local.host.aws import LocalAws

REGION = "ru-central1"
"""What requests to the three services are signed for; AWS has no region of that name."""
TABLE, BUCKET, POLICY_KEY = "desktop-images-copies", "desktop-images", "policy.json"
RETENTION, DEAD_RETENTION = 345_600, 1_209_600
"""Seconds that messages are kept: four days and fourteen."""


@dataclass(frozen=True)
class Queue:
    """A queue: its URL, which clients take, and its name, which its events carry."""

    url: str
    name: str


class LocalServices:
    """The services that deploy/yandex makes, as far as the functions use them. One at a time in a process.

    Args:
        policy: The image policy, as JSON; it lies in the bucket, since a function's variables may take 4 KB.
        receives: How often a message is received before it goes to the dead-letter queue.

    Attributes:
        poll: The queue of wake-ups.
        images: A queue in which new images are announced; deploy/yandex has a trail's log group instead.
    """

    def __init__(self, *, policy: str, receives: int) -> None:
        # Moto knows AWS's regions alone, unless this is set where its server runs, which is here.
        os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"
        self.aws = LocalAws(REGION)
        self._policy = policy
        self._receives = receives

    def start(self) -> None:
        """Serve, and make the queues, the table and the bucket. Raises RuntimeError where another host runs."""
        self.aws.start()
        self._dead = [self._create_queue(f"desktop-images-{name}-dead-letters", {}) for name in ("poll", "events")]
        self._poll_dead, self._events_dead = self._dead
        self.poll = self._create_queue("desktop-images-poll", self._redrive(self._poll_dead))
        self.images = self._create_queue("desktop-images-new", self._redrive(self._events_dead))
        s3 = self.aws.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=BUCKET, Key=POLICY_KEY, Body=self._policy.encode())
        keys = {"folder_id": "HASH", "image_id": "RANGE"}
        self.aws.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        )

    def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        self.aws.stop()

    def environment(self) -> dict[str, str]:
        """Return what a function's environment says of the services, by the names that deploy/yandex sets."""
        credentials = self.aws.environment()
        return {
            **{name: credentials[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
            "AWS_REGION": REGION,
            **{f"AWS_ENDPOINT_URL_{service}": self.aws.endpoint for service in ("SQS", "DYNAMODB", "S3")},
            "POLL_QUEUE_URL": self.poll.url,
            "COPIES_TABLE": TABLE,
            "IMAGE_POLICY": f"s3://{BUCKET}/{POLICY_KEY}",
        }

    def give_up(self, body: str) -> None:
        """Put what a trigger gave up into the events' dead-letter queue."""
        self.aws.client("sqs").send_message(QueueUrl=self._events_dead.url, MessageBody=body)

    def dead_letters(self) -> list[DeadLetter]:
        """Return what lies in the dead-letter queues; it stays there."""
        return [DeadLetter(queue.name, body) for queue in self._dead for body in self._bodies(queue)]

    def _bodies(self, queue: Queue) -> list[str]:
        seen: dict[str, str] = {}
        while True:
            answer = self.aws.client("sqs").receive_message(
                QueueUrl=queue.url, MaxNumberOfMessages=10, VisibilityTimeout=0
            )
            messages = {message["MessageId"]: message["Body"] for message in answer.get("Messages", [])}
            if not messages.keys() - seen.keys():
                return list(seen.values())
            seen.update(messages)

    def _redrive(self, dead: Queue) -> dict[str, str]:
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=dead.url, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": self._receives}
        return {"RedrivePolicy": json.dumps(policy)}

    def _create_queue(self, name: str, redrive: dict[str, str]) -> Queue:
        kept = {"MessageRetentionPeriod": str(RETENTION if redrive else DEAD_RETENTION)}
        answer = self.aws.client("sqs").create_queue(QueueName=name, Attributes={**kept, **redrive})
        return Queue(answer["QueueUrl"], name)
