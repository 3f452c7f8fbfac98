"""Put dead letters back to work, bounded, and say what was done."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cloud_desktop import CloudDesktopError
from image_pipeline.adapters import Adapters
from image_pipeline.events import UnknownEventError, read_event
from image_pipeline.intake import take
from image_pipeline.wake_ups import UnknownMessageError, parse_wake_up

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HIDDEN_FOR = 300
"""Seconds that a message being redriven stays hidden; one that cannot be is seen again after them."""


@dataclass(slots=True)
class Redriven:
    """What was done."""

    redriven: int = 0
    left: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def redrive_queue(adapters: Adapters, sqs: SQSClient, queue_url: str, *, most: int) -> Redriven:
    """Take up to `most` messages out of a dead-letter queue and put them back to work.

    A wake-up is sent to the queue with the sequence number that its row has now, so it is not mistaken for a stale one.
    The record of a failed event (Lambda's on-failure destination) is carried out here. What is neither stays where it
    is. A message is deleted only after its work has been handed on; one redriven twice does nothing twice.
    """
    report = Redriven()
    while report.redriven + report.left < most:
        asked = min(10, most - report.redriven - report.left)
        messages = sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=asked, VisibilityTimeout=HIDDEN_FOR, WaitTimeSeconds=0
        ).get("Messages", [])
        if not messages:
            break
        for message in messages:
            try:
                _hand_on(adapters, message["Body"])
            except (UnknownMessageError, UnknownEventError, CloudDesktopError, ClientError) as error:
                report.left += 1
                report.reasons[str(error)] += 1
            else:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                report.redriven += 1
    return report


def _hand_on(adapters: Adapters, body: str) -> None:
    event = _failed_event(body)
    if event is not None:
        take(adapters, read_event(event))
        return
    wake_up = parse_wake_up(body)
    row = adapters.ledger.get(wake_up.folder_id, wake_up.image_id)
    if row is not None and row.seq > wake_up.seq:
        wake_up = wake_up.model_copy(update={"seq": row.seq})
    adapters.queue.send(wake_up, after=0)


def _failed_event(body: str) -> Any:
    try:
        record = json.loads(body)
    except ValueError:
        return None
    return record.get("requestPayload") if isinstance(record, dict) else None
