"""What an event means: pure parsing of every trigger's shape, of both clouds, into intents.

An event only ever says "look at this": an image, a file of audit records, everything. Nothing in it is trusted beyond
the id. Shapes and their sources are in events/, one file each; where the documentation does not show a shape, every
plausible one is taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

AUDIT_PREFIX = "yandex.cloud.audit."
CREATE_IMAGE = "yandex.cloud.audit.compute.CreateImage"
_YANDEX_TIMER = "yandex.cloud.events.serverless.triggers.TimerMessage"
_YANDEX_QUEUE = "yandex.cloud.events.messagequeue.QueueMessage"
_YANDEX_LOGGING = "yandex.cloud.events.serverless.triggers.LoggingMessageBatch"
_YANDEX_STORAGE = "yandex.cloud.events.storage."


@dataclass(frozen=True, slots=True)
class ImageAnnounced:
    """A compute image may be there to copy. Folder and name are only ever given by a person's direct call."""

    image_id: str
    folder_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class TrailFileStored:
    """A bucket object that should hold audit records."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer: time to compare the world with the policy."""


Intent = ImageAnnounced | TrailFileStored | TimerFired


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: intents, each once and in order, and how many parts were left alone, by reason."""

    intents: tuple[Intent, ...] = ()
    left_alone: Mapping[str, int] = field(default_factory=dict)


class UnknownEventError(ValueError):
    """An event, or a part of it, whose shape is not known. Raised so that it reaches a dead-letter queue, not lost."""


@dataclass(slots=True)
class _Reader:
    intents: dict[Intent, None] = field(default_factory=dict)
    left_alone: Counter[str] = field(default_factory=Counter)

    def reading(self) -> Reading:
        return Reading(tuple(self.intents), dict(self.left_alone))

    def read(self, event: object, depth: int = 0) -> None:
        if depth > 6:  # noqa: PLR2004 - SNS in SQS in an array is four
            raise UnknownEventError("the event is wrapped in more than six envelopes")
        if isinstance(event, list):
            for part in event:
                self.read(part, depth + 1)
            return
        if not isinstance(event, dict):
            raise UnknownEventError(f"the event is {_shape(event)}, not an object with a known shape")
        self._read_object(event, depth)

    def _read_object(self, event: dict[str, Any], depth: int) -> None:
        match event:
            case {"Records": list() as records}:
                for record in records:
                    self._read_record(record, depth)
            case {"messages": list() as messages}:
                for message in messages:
                    self._read_yandex_message(message, depth)
            case {"detail-type": str(), "detail": dict()}:
                self._read_event_bridge(event)
            case {"Type": "Notification", "Message": str() as text}:
                self.read(_json(text, "an SNS message"), depth + 1)
            case {"Event": "s3:TestEvent"}:
                self.left_alone["S3 test event"] += 1
            case {"action": "sweep" | "cleanup"}:
                self.intents[TimerFired()] = None
            case {"imageId": str() as image_id} | {"image_id": str() as image_id}:
                self._announce(image_id, event)
            case _ if _text(event, "event_type", "eventType").startswith(AUDIT_PREFIX):
                self._read_audit_record(event)
            case {"event_metadata": dict()}:
                self._read_yandex_message(event, depth)
            case _:
                raise UnknownEventError(f"no trigger is known that sends {_shape(event)}")

    def _announce(self, image_id: str, event: dict[str, Any]) -> None:
        folder, name = event.get("folderId"), event.get("name")
        for key, value in (("imageId", image_id), ("folderId", folder), ("name", name)):
            if value is not None and not (isinstance(value, str) and 0 < len(value) <= 50):  # noqa: PLR2004 - images:copy
                raise UnknownEventError(f"{key} of a direct call must be text of 1 to 50 characters")
        self.intents[ImageAnnounced(image_id, folder, name)] = None

    def _read_record(self, record: object, depth: int) -> None:
        match record:
            case {
                "eventSource": "aws:s3",
                "eventName": str() as event_name,
                "s3": {"bucket": {"name": str() as bucket}, "object": {"key": str() as key}},
            }:
                if event_name.startswith("ObjectCreated:"):
                    self.intents[TrailFileStored(bucket, unquote_plus(key))] = None
                else:
                    self.left_alone[f"S3 event {event_name}"] += 1
            case {"EventSource": "aws:sns", "Sns": {"Message": str() as text}}:
                self.read(_json(text, "an SNS message"), depth + 1)
            case {"eventSource": "aws:sqs", "body": str() as text}:
                self.read(_json(text, "an SQS message"), depth + 1)
            case _:
                raise UnknownEventError(f"no record of S3, SNS or SQS has the shape {_shape(record)}")

    def _read_event_bridge(self, event: dict[str, Any]) -> None:
        match event:
            case {
                "detail-type": "Object Created",
                "detail": {"bucket": {"name": str() as bucket}, "object": {"key": str() as key}},
            }:
                self.intents[TrailFileStored(bucket, key)] = None
            case {"detail-type": "Scheduled Event"}:
                self.intents[TimerFired()] = None
            case {"detail": dict() as detail} if _text(detail, "event_type", "eventType").startswith(AUDIT_PREFIX):
                self._read_audit_record(detail)
            case _:
                raise UnknownEventError(f"no EventBridge event of type {event['detail-type']!r} is known here")

    def _read_yandex_message(self, message: object, depth: int) -> None:
        match message:
            case {"event_metadata": {"event_type": str() as event_type}, "details": dict() as details}:
                self._read_yandex_trigger(event_type, details, depth)
            case {"event_metadata": _}:
                raise UnknownEventError(
                    f"a Yandex message has event_metadata, but no event_type or details: {_shape(message)}"
                )
            case dict() | list():  # Data Streams and Event Router hand the record over bare
                self.read(message, depth + 1)
            case _:
                raise UnknownEventError(f"a Yandex message is {_shape(message)}, not an object")

    def _read_yandex_trigger(self, event_type: str, details: dict[str, Any], depth: int) -> None:
        match event_type, details:
            case (t, _) if t == _YANDEX_TIMER:
                self.intents[TimerFired()] = None
            case (t, {"message": {"body": str() as text}}) if t == _YANDEX_QUEUE:
                self.read(_json(text, "a Message Queue message"), depth + 1)
            case (t, {"messages": list() as entries}) if t == _YANDEX_LOGGING:
                for entry in entries:
                    self._read_log_entry(entry, depth)
            case (t, {"bucket_id": str() as bucket, "object_id": str() as key}) if t.startswith(_YANDEX_STORAGE):
                if t.removeprefix(_YANDEX_STORAGE) in {"ObjectCreate", "ObjectUpdate"}:
                    self.intents[TrailFileStored(bucket, key)] = None
                else:
                    self.left_alone[f"Object Storage event {t.removeprefix(_YANDEX_STORAGE)}"] += 1
            case _:
                raise UnknownEventError(
                    f"no Yandex trigger {event_type!r} with details {_shape(details)} is known here"
                )

    def _read_log_entry(self, entry: object, depth: int) -> None:
        match entry:
            case {"json_payload": dict() as record} | {"jsonPayload": dict() as record}:
                self.read(record, depth + 1)
            case _:
                self.left_alone["log entry without json_payload"] += 1

    def _read_audit_record(self, record: dict[str, Any]) -> None:
        image_id, reason = created_image(record)
        if image_id:
            self.intents[ImageAnnounced(image_id)] = None
        else:
            self.left_alone[reason] += 1


def read_event(event: object) -> Reading:
    """Return what the event of any trigger asks for.

    Raises:
        UnknownEventError: the shape is not known; the sentence names what was found. Shapes only, never values, since
            an event may carry what is not ours to log.
    """
    reader = _Reader()
    reader.read(event)
    return reader.reading()


def read_audit_records(records: Iterable[object]) -> Iterator[tuple[str | None, str]]:
    """Yield, for each record of a trail file, the id of the image it announces, or None and why it is left alone."""
    for record in records:
        yield created_image(record) if isinstance(record, dict) else (None, "not a record")


def created_image(record: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the id of the compute image that an audit record says was created, or None and the reason.

    Field names are read in snake_case, as delivered, and in camelCase, as the reference pages print them. Whether one
    creation gives one record or two (STARTED, DONE) is not documented: only DONE counts.
    """
    event_type = _text(record, "event_type", "eventType")
    if event_type != CREATE_IMAGE:
        return None, "other event type" if event_type else "no event type"
    status = _text(record, "event_status", "eventStatus")
    if status != "DONE":
        return None, f"status {status[:20]}" if status else "no status"
    authorization = record.get("authorization")
    if isinstance(authorization, dict) and authorization.get("authorized") is False:
        return None, "not authorized"
    details = record.get("details")
    image_id = _text(details, "image_id", "imageId") if isinstance(details, dict) else ""
    return (image_id, "") if 0 < len(image_id) <= 50 else (None, "no image id")  # noqa: PLR2004 - images:copy


def _text(mapping: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = mapping.get(name)
        if isinstance(value, str):
            return value
    return ""


def _json(text: str, what: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise UnknownEventError(f"the body of {what} is not JSON") from None


def _shape(value: object) -> str:
    if isinstance(value, dict):
        keys = ", ".join(sorted(str(key)[:40] for key in value)[:8])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return {list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), f"a value of type {type(value).__name__}"
    )
