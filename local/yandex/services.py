"""Message Queue, the Document API and Object Storage on this machine: moto, at the endpoints that Yandex documents."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.host.aws import LocalAws

REGION = "ru-central1"
"""What requests to the three services are signed for; AWS has no region of that name."""
TABLE, BUCKET = "desktop-images-copies", "audit-trails-b1gsource"
RETENTION = 14 * 24 * 3600


@dataclass(frozen=True)
class Queue:
    """A queue and the one that its messages end in.

    Attributes:
        url: What clients take.
        name: What its trigger and its ARN are called by.
        dead: URL of the dead-letter queue.
    """

    url: str
    name: str
    dead: str


class LocalServices:
    """The services that deploy/yandex makes, as far as the functions use them. One at a time in a process.

    Args:
        receives: How often a message is received before it goes to the dead-letter queue.
    """

    def __init__(self, *, receives: int) -> None:
        # Moto knows AWS's regions alone, unless this is set where its server runs, which is here.
        os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"
        self.aws = LocalAws(REGION)
        self._receives = receives

    def start(self) -> None:
        """Serve, and make the queues, the table and the bucket. Raises RuntimeError where another host runs."""
        self.aws.start()
        self.dead = self._create_queue("desktop-images-dead", {})
        redrive = {"deadLetterTargetArn": self._arn(self.dead), "maxReceiveCount": self._receives}
        self.poll = self._queue("desktop-images-poll", redrive)
        self.images = self._queue("desktop-images-new", redrive)
        self.aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        keys = ("folder_id", "image_id")
        self.aws.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
            ],
        )

    def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        self.aws.stop()

    def environment(self) -> dict[str, str]:
        """Return what a function's environment says of the services, by the names that deploy/yandex sets."""
        keys = {
            name: value for name, value in self.aws.environment().items() if name.startswith(("AWS_ACC", "AWS_SEC"))
        }
        return {
            **keys,
            "AWS_REGION": REGION,
            **{f"AWS_ENDPOINT_URL_{service}": self.aws.endpoint for service in ("SQS", "DYNAMODB", "S3")},
            "POLL_QUEUE_URL": self.poll.url,
            "COPIES_TABLE": TABLE,
        }

    def dead_letters(self) -> list[str]:
        """Return the bodies in the dead-letter queue; they stay there."""
        sqs = self.aws.client("sqs")
        seen: dict[str, str] = {}
        while True:
            answer = sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10, VisibilityTimeout=0)
            messages = {message["MessageId"]: message["Body"] for message in answer.get("Messages", [])}
            if not messages.keys() - seen.keys():
                return list(seen.values())
            seen.update(messages)

    def _queue(self, name: str, redrive: Mapping[str, Any]) -> Queue:
        return Queue(self._create_queue(name, {"RedrivePolicy": json.dumps(redrive)}), name, self.dead)

    def _create_queue(self, name: str, attributes: Mapping[str, str]) -> str:
        given = {"MessageRetentionPeriod": str(RETENTION), **attributes}
        url: str = self.aws.client("sqs").create_queue(QueueName=name, Attributes=given)["QueueUrl"]
        return url

    def _arn(self, url: str) -> str:
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn: str = answer["Attributes"]["QueueArn"]
        return arn
