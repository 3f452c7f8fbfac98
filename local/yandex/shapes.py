"""What Yandex's triggers hand to a function, written from the documented samples in events/. Pure.

Only the envelopes are made here; what they carry is given. Ids of clouds, triggers and logs are made up.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

CLOUD, FOLDER = "b1gcloud000000000001", "b1gsource"
TRAIL = "cnptrail000000000001"
_TRIGGERS = "yandex.cloud.events.serverless.triggers"


def queue_arn(name: str) -> str:
    """Return the name that a queue has in an event.

    >>> queue_arn("poll")
    'yrn:yc:ymq:ru-central1:b1gsource:poll'
    """
    return f"yrn:yc:ymq:ru-central1:{FOLDER}:{name}"


def timer(trigger_id: str, payload: str, now: datetime) -> dict[str, Any]:
    """A timer trigger's event."""
    metadata = {**_metadata(f"{_TRIGGERS}.TimerMessage", now), **_PLACE}
    return {"messages": [{"event_metadata": metadata, "details": {"trigger_id": trigger_id, "payload": payload}}]}


def queue(arn: str, received: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """A Message Queue trigger's event.

    Args:
        arn: The queue.
        received: Messages as ReceiveMessage of the SQS API returns them.
        now: When the trigger took them.
    """
    return {"messages": [_queue_message(arn, message, now) for message in received]}


def object_created(bucket: str, key: str, now: datetime) -> dict[str, Any]:
    """An Object Storage trigger's event for a new object; it tells neither size nor version."""
    metadata = {
        **_metadata("yandex.cloud.events.storage.ObjectCreate", now),
        **_PLACE,
        "tracing_context": {"trace_id": uuid.uuid4().hex[:16], "span_id": "", "parent_span_id": ""},
    }
    return {"messages": [{"event_metadata": metadata, "details": {"bucket_id": bucket, "object_id": key}}]}


def log_entries(records: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """A Cloud Logging trigger's event for a trail's log group; times there are of two kinds, neither RFC 3339."""
    seconds = int(now.timestamp())
    metadata = {
        **_metadata(f"{_TRIGGERS}.LoggingMessageBatch", now),
        **_PLACE,
        "created_at": {"seconds": seconds, "nanos": now.microsecond * 1000},
    }
    entry = {
        "resource": {"type": "audit.trail", "id": TRAIL},
        "timestamp": now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f000 +0000 UTC"),
        "level": "INFO",
        "message": "",
    }
    messages = [{**entry, "json_payload": dict(record)} for record in records]
    return {"messages": [{"event_metadata": metadata, "details": {"messages": messages}}]}


def stream_records(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A Data Streams trigger's event: the records themselves, without metadata."""
    return {"messages": [dict(record) for record in records]}


def routed(record: Mapping[str, Any], form: str) -> Any:
    """An Event Router rule's event, in each of the forms that it may have: no page shows one.

    Args:
        record: The event on the bus.
        form: `bare`, `array` (as a batch would be) or `messages` (wrapped as other triggers do).
    """
    return {"bare": dict(record), "array": [dict(record)], "messages": {"messages": [dict(record)]}}[form]


def audit_record(image_id: str, now: datetime, *, status: str = "DONE") -> dict[str, Any]:
    """An Audit Trails record of a created compute image, in the spelling that is delivered."""
    return {
        "event_id": uuid.uuid4().hex[:20],
        "event_source": "compute",
        "event_type": "yandex.cloud.audit.compute.CreateImage",
        "event_time": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "authorization": {"authorized": True},
        "resource_metadata": {"path": [{"resource_type": "resource-manager.folder", "resource_id": FOLDER}]},
        "event_status": status,
        "details": {"image_id": image_id},
    }


def trail_file(records: Iterable[Mapping[str, Any]]) -> bytes:
    """An Audit Trails file: a JSON array of records."""
    return json.dumps(list(records)).encode()


def _queue_message(arn: str, message: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    metadata = {**_metadata("yandex.cloud.events.messagequeue.QueueMessage", now), "event_id": message["MessageId"]}
    return {
        "event_metadata": metadata,
        "details": {
            "queue_id": arn,
            "message": {
                "message_id": message["MessageId"],
                "md5_of_body": hashlib.md5(message["Body"].encode(), usedforsecurity=False).hexdigest(),
                "body": message["Body"],
                "attributes": {"SentTimestamp": message.get("Attributes", {}).get("SentTimestamp", "")},
                "message_attributes": {},
                "md5_of_message_attributes": "",
            },
        },
    }


def _metadata(event_type: str, now: datetime) -> dict[str, Any]:
    created_at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"event_id": str(uuid.uuid4()), "event_type": event_type, "created_at": created_at}


_PLACE = {"cloud_id": CLOUD, "folder_id": FOLDER}
