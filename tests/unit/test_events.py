"""Reading events: what is asked for, what is left alone and why, and that nothing of an event gets into an error."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_pipeline import batches, http_events
from image_pipeline.events import (
    ImageAnnounced,
    TimerFired,
    TrailFileStored,
    UnknownEventError,
    created_image,
    read_audit_records,
    read_event,
    shape,
)

IMAGE = "fd8computeimage00001"


def record(**changes: Any) -> dict[str, Any]:
    return {
        "event_type": "yandex.cloud.audit.compute.CreateImage",
        "event_status": "DONE",
        "authorization": {"authorized": True},
        "details": {"image_id": IMAGE},
        **changes,
    }


def s3(key: str = "trail/file.json", name: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key}}}


def sqs(body: str) -> dict[str, Any]:
    return {"eventSource": "aws:sqs", "messageId": "m", "body": body}


def yandex(event_type: str, details: object) -> dict[str, Any]:
    return {"event_metadata": {"event_type": f"yandex.cloud.events.{event_type}"}, "details": details}


def stored(kind: str, key: str = "trail/file.json") -> dict[str, Any]:
    return yandex(f"storage.{kind}", {"bucket_id": "b", "object_id": key})


def refusal(event: object) -> str:
    with pytest.raises(UnknownEventError) as caught:
        read_event(event)
    return str(caught.value)


class TestAuditRecords:
    def test_a_finished_authorized_creation_announces_its_image(self) -> None:
        assert created_image(record()) == (IMAGE, "")

    def test_camel_case_is_read_as_well(self) -> None:
        spelt = {
            "eventType": "yandex.cloud.audit.compute.CreateImage",
            "eventStatus": "DONE",
            "authorization": {"authorized": True},
            "details": {"imageId": IMAGE},
        }
        assert created_image(spelt) == (IMAGE, "")

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"event_status": "STARTED"}, "status STARTED"),
            ({"event_status": "RUNNING"}, "status RUNNING"),
            ({"event_status": "ERROR"}, "status ERROR"),
            ({"event_status": "CANCELLED"}, "status CANCELLED"),
            ({"event_status": "done"}, "unknown status"),
            ({"event_status": None}, "unknown status"),
            ({"authorization": {"authorized": False}}, "not authorized"),
            ({"event_type": "yandex.cloud.audit.compute.DeleteImage"}, "other event type"),
            ({"event_type": None}, "no event type"),
            ({"details": {}}, "no image id"),
            ({"details": None}, "no image id"),
            ({"details": {"image_id": 7}}, "no image id"),
            ({"details": {"image_id": "f" * 51}}, "no image id"),
            ({"details": {"image_id": "../fd8"}}, "no image id"),
        ],
    )
    def test_everything_else_is_left_alone_with_its_reason(self, changes: dict[str, Any], reason: str) -> None:
        assert created_image(record(**changes)) == (None, reason)

    def test_a_trail_file_may_hold_anything(self) -> None:
        found = list(read_audit_records([None, 1, "text", [], {}, record()]))

        assert found == [*[(None, "not a record")] * 4, (None, "no event type"), (IMAGE, "")]

    @given(st.dictionaries(st.sampled_from(list(record())), st.none() | st.text() | st.integers() | st.just({})))
    def test_reasons_are_few_whatever_the_records_hold(self, junk: dict[str, Any]) -> None:
        _, reason = created_image({**record(), **junk})

        assert len(reason) < 25


class TestOneUnknownPart:
    def test_in_a_stream_of_bare_records_is_counted(self) -> None:
        for event in ([record(), {"level": "INFO"}, "text", 7], {"messages": [{"level": "INFO"}, "text", 7, record()]}):
            reading = read_event(event)

            assert reading.intents == (ImageAnnounced(IMAGE),)
            assert reading.left_alone == {"unknown record": 3}
            assert reading.unknown == ()

    @pytest.mark.parametrize(
        ("event", "key"),
        [
            ({"Records": [{"eventSource": "aws:kinesis"}, s3()]}, "eventSource"),
            ({"messages": [yandex("iot.IoTMessage", {"payload": "x"}), stored("ObjectCreate")]}, "payload"),
            ({"messages": [{"event_metadata": "x"}, stored("ObjectCreate")]}, "event_metadata"),
        ],
    )
    def test_in_a_triggers_own_envelope_is_reported_beside_the_rest(self, event: object, key: str) -> None:
        reading = read_event(event)

        assert reading.intents == (TrailFileStored("b", "trail/file.json"),)
        assert len(reading.unknown) == 1
        assert key in reading.unknown[0]

    def test_is_an_error_where_it_is_all_there_is(self) -> None:
        assert refusal([{"level": "INFO"}]) == "no trigger is known that sends an object with the keys level"
        assert refusal({"messages": ["text"]}) == "the event's text is not JSON"
        assert refusal({"messages": [{"a": 1}, {"b": 2}, {"c": 3}]}).endswith("(and 2 more parts of it are not known)")

    @pytest.mark.parametrize("event", [[], {"Records": []}, {"messages": []}])
    def test_an_event_without_records_is_an_error(self, event: object) -> None:
        assert refusal(event) == "the event holds no records"

    def test_a_log_group_may_hold_nothing_but_other_peoples_lines(self) -> None:
        entries = [{"message": "START"}, {"json_payload": {"a": 1}}, {"json_payload": None}, "text"]
        reading = read_event({"messages": [yandex("serverless.triggers.LoggingMessageBatch", {"messages": entries})]})

        assert reading.intents == ()
        assert reading.left_alone == {"log entry that is no audit record": 4}


class TestKnownShapes:
    def test_one_thing_announced_twice_is_asked_for_once(self) -> None:
        assert read_event([record(), record(), record(details={"image_id": "fd8other"})]).intents == (
            ImageAnnounced(IMAGE),
            ImageAnnounced("fd8other"),
        )

    def test_keys_of_s3_notifications_are_decoded_and_those_of_other_sources_are_not(self) -> None:
        bridge = {
            "detail-type": "Object Created",
            "source": "aws.s3",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b%20c.json"}},
        }
        notified, bridged, yandexed = (
            read_event(event).intents[0]
            for event in ({"Records": [s3("a+b%2Bc.json")]}, bridge, stored("ObjectCreate", "a+b.json"))
        )

        assert notified == TrailFileStored("b", "a b+c.json")
        assert bridged == TrailFileStored("b", "a+b%20c.json")
        assert yandexed == TrailFileStored("b", "a+b.json")

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            ({"Records": [s3(name="ObjectRemoved:Delete")]}, "S3 event that stores nothing"),
            ({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}, "S3 event that stores nothing"),
            (stored("ObjectDelete"), "Object Storage event that stores nothing"),
            (sqs(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})), "S3 test event"),
        ],
    )
    def test_events_of_storage_that_store_nothing_are_left_alone(self, event: dict[str, Any], reason: str) -> None:
        reading = read_event({"Records": [event]} if "body" in event else event)

        assert (reading.intents, reading.left_alone) == ((), {reason: 1})

    def test_an_overwritten_trail_file_is_read_again(self) -> None:
        assert read_event(stored("ObjectUpdate")).intents == (TrailFileStored("b", "trail/file.json"),)

    def test_a_direct_call_may_say_where_to_and_under_which_name(self) -> None:
        asked = {"imageId": IMAGE, "folderId": "b1gtarget", "name": "Büro PC (2)"}

        assert read_event(asked).intents == (ImageAnnounced(IMAGE, "b1gtarget", "Büro PC (2)"),)
        assert read_event(json.dumps(asked)) == read_event(asked)

    @pytest.mark.parametrize(
        ("changes", "key"),
        [
            ({"imageId": ""}, "imageId"),
            ({"imageId": None}, "imageId"),
            ({"imageId": "a" * 51}, "imageId"),
            ({"imageId": "a/b"}, "imageId"),
            ({"imageId": ".."}, "imageId"),
            ({"imageId": [IMAGE]}, "imageId"),
            ({"folderId": ""}, "folderId"),
            ({"folderId": 5}, "folderId"),
            ({"name": ""}, "name"),
            ({"name": "n" * 51}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"name": "\ud800"}, "name"),
        ],
    )
    def test_a_wrong_direct_call_names_the_key(self, changes: dict[str, Any], key: str) -> None:
        assert refusal({"imageId": IMAGE, **changes}).startswith(f"{key} of a direct call must be ")

    def test_a_direct_call_in_snake_case_is_understood(self) -> None:
        assert read_event({"image_id": IMAGE}).intents == (ImageAnnounced(IMAGE),)

    def test_timers_are_timers(self) -> None:
        for event in ({"action": "sweep"}, {"source": "schedule", "action": "cleanup"}):
            assert read_event(event).intents == (TimerFired(),)
        assert refusal({"action": "explode"})


class TestEnvelopes:
    def test_the_error_says_where_in_the_event_the_unknown_part_is(self) -> None:
        inner = {"Type": "Notification", "Message": json.dumps({"colour": "blue"})}

        assert refusal({"Records": [sqs(json.dumps(inner))]}) == (
            "in an SQS message, in an SNS message, no trigger is known that sends an object with the keys colour"
        )
        assert refusal({"Records": [sqs("{")]}) == "an SQS message is not JSON"

    @given(st.lists(st.sampled_from(["list", "sqs", "sns", "text"]), min_size=8, max_size=8))
    def test_nesting_is_bounded(self, envelopes: list[str]) -> None:
        event: Any = record()
        for envelope in envelopes:
            match envelope:
                case "list":
                    event = [event]
                case "sqs":
                    event = {"Records": [sqs(json.dumps(event))]}
                case "sns":
                    event = {"Type": "Notification", "Message": json.dumps(event)}
                case "text":
                    event = json.dumps(event)

        assert "more than 6 envelopes" in refusal(event)

    @pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "NaN", '"\\ud800"'])
    def test_json_that_parsers_choke_on_is_just_unknown(self, body: str) -> None:
        assert refusal({"Records": [sqs(body)]})

    def test_an_unknown_event_of_eventbridge_tells_the_keys_of_its_detail(self) -> None:
        event = {"source": "aws.ec2", "detail-type": "EC2 Instance hush", "detail": {"instance-id": "i-1"}}

        assert refusal(event) == (
            "no EventBridge event is known here whose detail is an object with the keys instance-id"
        )

    def test_names_of_yandex_triggers_are_told_and_other_text_is_not(self) -> None:
        assert "no Yandex trigger yandex.cloud.events.iot.IoTMessage is known" in refusal(yandex("iot.IoTMessage", {}))
        assert "secret" not in refusal(yandex("iot secret", {}))


KEYS = st.sampled_from(
    [
        *("Records", "messages", "event_metadata", "details", "event_type", "body", "Sns", "Message", "s3", "bucket"),
        *("object", "key", "name", "eventSource", "EventSource", "eventName", "detail", "detail-type", "imageId"),
        *("action", "json_payload", "message", "bucket_id", "object_id", "event_status", "Type", "httpMethod"),
        *("requestContext", "http", "rawPath", "folderId", "queryStringParameters", "headers", "url"),
    ]
)
WORDS = st.sampled_from(
    [
        *("aws:s3", "aws:sqs", "aws:sns", "ObjectCreated:Put", "Object Created", "Notification", "sweep", "DONE"),
        *("yandex.cloud.events.messagequeue.QueueMessage", "yandex.cloud.audit.compute.CreateImage", "{}", "[[]]"),
        *("yandex.cloud.events.serverless.triggers.LoggingMessageBatch", "yandex.cloud.events.storage.ObjectCreate"),
    ]
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=6),
    max_leaves=25,
)


@given(JUNK)
def test_junk_never_raises_anything_but_unknown_event(junk: object) -> None:
    with suppress(UnknownEventError):
        read_event(junk)


@given(JUNK)
def test_junk_is_told_apart_without_an_error(junk: object) -> None:
    http_events.is_http(junk)
    batches.is_sqs(junk)
    batches.is_message_queue(junk)


def _with_marked_texts(value: Any) -> Any:
    match value:
        case dict():
            return {key: _with_marked_texts(inner) for key, inner in value.items()}
        case list():
            return [_with_marked_texts(inner) for inner in value]
        case str():
            return value + "~hush"
        case int() | float():
            return 314159
        case _:
            return value


@given(JUNK, st.booleans())
def test_no_value_of_an_event_gets_into_an_error(junk: Any, marked: bool) -> None:
    event = _with_marked_texts(junk) if marked else {"messages": [{"event_metadata": {}, "details": "~hush"}, junk]}
    with suppress(UnknownEventError):
        reading = read_event(event)
        assert "hush" not in str(reading.left_alone) + str(reading.unknown)
        return
    message = refusal(event)
    assert "hush" not in message
    assert "314159" not in message


def test_only_keys_that_look_like_names_are_shown() -> None:
    assert shape({"body": 1, "t1.9euelZrIlJ": 1, "Bearer x": 1, "k" * 40: 1, 5: 1}) == (
        "an object with the keys body and 4 more"
    )
    assert shape({"a b": 1}) == "an object with unreadable keys"
    assert shape({}) == "an empty object"
    assert shape(dict.fromkeys("abcdefghijkl", 0)) == "an object with the keys a, b, c, d, e, f, g, h and 4 more"


@pytest.mark.parametrize(
    ("value", "words"),
    [([], "a list"), ("x", "text"), (None, "nothing"), (1.5, "a value of type float")],
)
def test_the_shape_of_other_values_is_their_type(value: object, words: str) -> None:
    assert shape(value) == words
