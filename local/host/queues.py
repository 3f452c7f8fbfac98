"""Event source mappings: what Lambda does between a queue and a function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.host.functions import HostClosedError, Invocation

# Moto answers one request at a time, so a long poll would hold everybody up; short ones come often instead.
POLL_SECONDS = 0.15


@dataclass(frozen=True)
class QueueMapping:
    """One event source mapping of the template.

    Attributes:
        batch_size: The most messages in one event.
        reports_failures: Whether the answer's batchItemFailures is honoured; without it a returned answer is success.
        deliver_twice: Hand each batch over a second time before deleting it, as at-least-once delivery may.
    """

    queue_url: str
    queue_arn: str
    function: str
    batch_size: int
    reports_failures: bool
    deliver_twice: bool = False


class QueuePoller:
    """Moves batches from one queue to its function until closed.

    A message leaves the queue when its batch succeeded and it is not among the reported failures. Everything else stays
    invisible for the queue's visibility timeout, comes back, and is redriven by the queue after its allowed receives.

    Args:
        mapping: From where to where.
        sqs: boto3 client.
        invoke: Runs one invocation by logical id.
        pollers: Batches in flight at a time.
    """

    def __init__(
        self, mapping: QueueMapping, sqs: Any, invoke: Callable[[str, Any], Invocation], *, pollers: int = 1
    ) -> None:
        self._mapping = mapping
        self._sqs = sqs
        self._invoke = invoke
        self._stopping = threading.Event()
        name = f"poll-{mapping.function}"
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(pollers)]

    def start(self) -> None:
        """Begin to poll."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take no further batch and wait for those in flight; kill the function first to make that quick."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._deliver_one_batch():
                    self._stopping.wait(POLL_SECONDS)
        except HostClosedError:
            return

    def _deliver_one_batch(self) -> bool:
        answer = self._sqs.receive_message(
            QueueUrl=self._mapping.queue_url,
            MaxNumberOfMessages=min(self._mapping.batch_size, 10),
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            return False
        event = {"Records": [sqs_record(message, self._mapping.queue_arn) for message in messages]}
        invocation = self._invoke(self._mapping.function, event)
        if self._mapping.deliver_twice:
            invocation = self._invoke(self._mapping.function, event)
        failed = failed_message_ids(invocation, event, reports_failures=self._mapping.reports_failures)
        for message in messages:
            if message["MessageId"] not in failed and not self._stopping.is_set():
                self._sqs.delete_message(QueueUrl=self._mapping.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return True


def sqs_record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    """Turn a received message into a record of Lambda's SQS event."""
    attributes = {
        name: {
            "dataType": value["DataType"],
            **{key[0].lower() + key[1:]: content for key, content in value.items() if key != "DataType"},
            "stringListValues": [],
            "binaryListValues": [],
        }
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def failed_message_ids(invocation: Invocation, event: Mapping[str, Any], *, reports_failures: bool) -> set[str]:
    """Return the messages that must come back.

    Everything fails when the function failed, and also when its report is malformed or names a message that was not in
    the batch (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
    """
    batch = {record["messageId"] for record in event["Records"]}
    if invocation.error is not None:
        return batch
    if not reports_failures or not invocation.payload:
        return set()
    if not isinstance(invocation.payload, dict):
        return batch
    failures = invocation.payload.get("batchItemFailures") or []
    try:
        reported = {failure["itemIdentifier"] for failure in failures}
    except (TypeError, KeyError):
        return batch
    return batch if reported - batch else reported
