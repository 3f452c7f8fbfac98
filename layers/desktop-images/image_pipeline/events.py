"""What an event means: pure parsing of every trigger's shape, of both clouds, into intents.

An event only ever says "look at this": an image, a file of audit records, everything. Nothing in it is trusted beyond
the id. Shapes and their sources are in events/, one file each; where the documentation does not show a shape, every
plausible one is taken.

One unknown part does not stop the others. A bare record in a stream (Data Streams, Event Router, a log group) may be
anybody's, so an unknown one is counted and left alone; an unknown part of a trigger's own envelope is reported, for the
event to fail once the rest is done; an event of which nothing is known is an error at once.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

AUDIT_PREFIX = "yandex.cloud.audit."
CREATE_IMAGE = "yandex.cloud.audit.compute.CreateImage"
_YANDEX_TIMER = "yandex.cloud.events.serverless.triggers.TimerMessage"
_YANDEX_QUEUE = "yandex.cloud.events.messagequeue.QueueMessage"
_YANDEX_LOGGING = "yandex.cloud.events.serverless.triggers.LoggingMessageBatch"
_YANDEX_STORAGE = "yandex.cloud.events.storage."

_MOST_ENVELOPES = 6  # SNS in SQS in an array is four
_UNFINISHED = frozenset({"STARTED", "RUNNING", "ERROR", "CANCELLED"})
_IDENTIFIER = re.compile(r"[0-9a-zA-Z][-_.0-9a-zA-Z]{0,49}")  # images:copy takes 50 characters
_NAME_LIMIT = 50
_KEY = re.compile(r"[_a-zA-Z][-_0-9a-zA-Z]{0,29}")  # neither a sentence nor as long as a token
_YANDEX_TYPE = re.compile(r"yandex\.cloud(\.[a-zA-Z]{1,40}){1,6}")


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
    """What was read: intents, each once and in order, and how many parts were left alone, by reason.

    `unknown` says which parts of the trigger's envelope are not known; whoever takes the reading does the rest, then
    fails with it.
    """

    intents: tuple[Intent, ...] = ()
    left_alone: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


class UnknownEventError(ValueError):
    """An event, or a part of it, whose shape is not known. Raised so that it reaches a dead-letter queue, not lost.

    Its sentence tells shapes, keys and names of Yandex's event types, never a value: an event may carry what is not
    ours to log.
    """


@dataclass(slots=True)
class _Reader:
    intents: dict[Intent, None] = field(default_factory=dict)
    left_alone: Counter[str] = field(default_factory=Counter)
    foreign: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def reading(self) -> Reading:
        if not self.intents and not self.left_alone:
            sentences = [*self.unknown, *self.foreign] or ["the event holds no records"]
            more = f" (and {len(sentences) - 1} more parts of it are not known)" if len(sentences) > 1 else ""
            raise UnknownEventError(sentences[0] + more)
        foreign = {"unknown record": len(self.foreign)} if self.foreign else {}
        return Reading(tuple(self.intents), {**self.left_alone, **foreign}, tuple(self.unknown))

    def read(self, event: object, depth: int = 0) -> None:
        if depth > _MOST_ENVELOPES:
            raise UnknownEventError(f"the event is wrapped in more than {_MOST_ENVELOPES} envelopes")
        match event:
            case dict():
                self._read_object(event, depth)
            case list():
                self._read_each(event, self.read, depth + 1, self.foreign)
            case str():  # an invocation with ?integration=raw on Yandex hands the body over as it is
                self._read_text(event, "the event's text", depth)
            case _:
                raise UnknownEventError(f"the event is {shape(event)}, not an object with a known shape")

    def _read_each(self, parts: list[Any], read: Callable[[Any, int], None], depth: int, not_known: list[str]) -> None:
        for part in parts:
            try:
                read(part, depth)
            except UnknownEventError as error:
                not_known.append(str(error))

    def _read_text(self, text: str, place: str, depth: int) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise UnknownEventError(f"{place} is not JSON") from None
        try:
            self.read(value, depth + 1)
        except UnknownEventError as error:
            raise UnknownEventError(f"in {place}, {error}") from None

    def _read_object(self, event: dict[str, Any], depth: int) -> None:
        match event:
            case {"Records": list() as records}:
                self._read_each(records, self._read_record, depth, self.unknown)
            case {"messages": list() as messages}:
                self._read_messages(messages, depth)
            case {"detail-type": str(), "detail": dict()}:
                self._read_event_bridge(event)
            case {"Type": "Notification", "Message": str() as text}:
                self._read_text(text, "an SNS message", depth)
            case {"Event": "s3:TestEvent"}:
                self.left_alone["S3 test event"] += 1
            case {"action": "sweep" | "cleanup"}:
                self.intents[TimerFired()] = None
            case {"imageId": image_id} | {"image_id": image_id}:
                self._announce(image_id, event)
            case _ if _is_audit_record(event):
                self._read_audit_record(event)
            case {"event_metadata": _}:
                self._read_yandex_message(event, depth)
            case _:
                raise UnknownEventError(f"no trigger is known that sends {shape(event)}")

    def _announce(self, image_id: object, event: dict[str, Any]) -> None:
        folder, name = event.get("folderId"), event.get("name")
        for key, identifier in (("imageId", image_id), ("folderId", folder)):
            wrong = not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier)
            if wrong and not (key == "folderId" and identifier is None):
                raise UnknownEventError(
                    f"{key} of a direct call must be an id: up to 50 characters of a-z, A-Z, 0-9, -, _ and ."
                )
        if name is not None and not (isinstance(name, str) and 0 < len(name) <= _NAME_LIMIT and name.isprintable()):
            raise UnknownEventError(f"name of a direct call must be 1 to {_NAME_LIMIT} printable characters")
        self.intents[ImageAnnounced(str(image_id), folder, name)] = None

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
                    self.left_alone["S3 event that stores nothing"] += 1
            case {"EventSource": "aws:sns", "Sns": {"Message": str() as text}}:
                self._read_text(text, "an SNS message", depth)
            case {"eventSource": "aws:sqs", "body": str() as text}:
                self._read_text(text, "an SQS message", depth)
            case _:
                raise UnknownEventError(f"in Records, no record of S3, SNS or SQS is {shape(record)}")

    def _read_event_bridge(self, event: dict[str, Any]) -> None:
        match event:
            case {
                "detail-type": "Object Created",
                "detail": {"bucket": {"name": str() as bucket}, "object": {"key": str() as key}},
            }:
                self.intents[TrailFileStored(bucket, key)] = None
            case {"source": "aws.s3", "detail-type": str() as kind} if kind != "Object Created":
                self.left_alone["S3 event that stores nothing"] += 1
            case {"detail-type": "Scheduled Event"}:
                self.intents[TimerFired()] = None
            case {"detail": dict() as detail} if _is_audit_record(detail):
                self._read_audit_record(detail)
            case _:
                raise UnknownEventError(f"no EventBridge event is known here whose detail is {shape(event['detail'])}")

    def _read_messages(self, messages: list[Any], depth: int) -> None:
        for message in messages:
            wrapped = isinstance(message, dict) and "event_metadata" in message
            read = self._read_yandex_message if wrapped else self.read  # Data Streams and Event Router wrap nothing
            self._read_each([message], read, depth + 1, self.unknown if wrapped else self.foreign)

    def _read_yandex_message(self, message: dict[str, Any], depth: int) -> None:
        match message:
            case {"event_metadata": {"event_type": str() as event_type}, "details": dict() as details}:
                self._read_yandex_trigger(event_type, details, depth)
            case _:
                raise UnknownEventError(
                    f"a Yandex message has event_metadata, but no event_type or no details: {shape(message)}"
                )

    def _read_yandex_trigger(self, event_type: str, details: dict[str, Any], depth: int) -> None:
        match event_type, details:
            case (t, _) if t == _YANDEX_TIMER:
                self.intents[TimerFired()] = None
            case (t, {"message": {"body": str() as text}}) if t == _YANDEX_QUEUE:
                self._read_text(text, "a Message Queue message", depth)
            case (t, {"messages": list() as entries}) if t == _YANDEX_LOGGING:
                for entry in entries:
                    self._read_log_entry(entry)
            case (t, {"bucket_id": str() as bucket, "object_id": str() as key}) if t.startswith(_YANDEX_STORAGE):
                if t.removeprefix(_YANDEX_STORAGE) in {"ObjectCreate", "ObjectUpdate"}:
                    self.intents[TrailFileStored(bucket, key)] = None
                else:
                    self.left_alone["Object Storage event that stores nothing"] += 1
            case (t, _):
                named = t if _YANDEX_TYPE.fullmatch(t) else "of another type"
                raise UnknownEventError(f"no Yandex trigger {named} is known whose details are {shape(details)}")

    def _read_log_entry(self, entry: object) -> None:
        match entry:
            case {"json_payload": dict() as record} | {"jsonPayload": dict() as record} if _is_audit_record(record):
                self._read_audit_record(record)
            case _:
                self.left_alone["log entry that is no audit record"] += 1

    def _read_audit_record(self, record: dict[str, Any]) -> None:
        image_id, reason = created_image(record)
        if image_id:
            self.intents[ImageAnnounced(image_id)] = None
        else:
            self.left_alone[reason] += 1


def read_event(event: object) -> Reading:
    """Return what the event of any trigger asks for.

    Raises:
        UnknownEventError: nothing of the event is known; the sentence names what was found.
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
        return None, f"status {status}" if status in _UNFINISHED else "unknown status"
    authorization = record.get("authorization")
    if isinstance(authorization, dict) and authorization.get("authorized") is False:
        return None, "not authorized"
    details = record.get("details")
    image_id = _text(details, "image_id", "imageId") if isinstance(details, dict) else ""
    return (image_id, "") if _IDENTIFIER.fullmatch(image_id) else (None, "no image id")


def shape(value: object) -> str:
    """Say what a value looks like without saying what it is: its type, and the keys of an object that look like names.

    >>> shape({"password": "x", "b": 1, "@ y": 2}), shape([])
    ('an object with the keys b, password and 1 more', 'a list')
    """
    if isinstance(value, dict):
        names = sorted(key for key in value if isinstance(key, str) and _KEY.fullmatch(key))[:8]
        more = f" and {len(value) - len(names)} more" if len(value) > len(names) else ""
        if names:
            return f"an object with the keys {', '.join(names)}{more}"
        return "an object with unreadable keys" if value else "an empty object"
    return {list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), f"a value of type {type(value).__name__}"
    )


def _is_audit_record(record: Mapping[str, Any]) -> bool:
    return _text(record, "event_type", "eventType").startswith(AUDIT_PREFIX)


def _text(mapping: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = mapping.get(name)
        if isinstance(value, str):
            return value
    return ""
