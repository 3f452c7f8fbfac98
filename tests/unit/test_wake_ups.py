"""Wake-ups: one shape in the queue, read strictly, sent within what a queue can delay."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_pipeline.wake_ups import Queue, UnknownMessageError, WakeUp, parse_wake_up, read_wake_up
from tests.rig.aws import Aws

GOOD = {"v": 1, "folder_id": "b1gtarget", "image_id": "fd8a", "seq": 7}
WAKE_UP = WakeUp(folder_id="b1gtarget", image_id="fd8a", seq=7)


def test_the_message_is_that_of_the_contract() -> None:
    assert parse_wake_up(json.dumps(GOOD)) == WAKE_UP
    assert WAKE_UP.model_dump() == GOOD


def test_a_later_versions_extra_key_is_passed_over() -> None:
    assert parse_wake_up(json.dumps({**GOOD, "hint": "x"})) == WAKE_UP


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "the body: Invalid JSON"),
        ("[]", "the body: Input should be an object"),
        ("{}", "folder_id: Field required; image_id: Field required; seq: Field required"),
        (json.dumps({**GOOD, "v": 2}), "v: Input should be 1"),
        (json.dumps({**GOOD, "seq": "7"}), "seq: Input should be a valid integer"),
        (json.dumps({**GOOD, "seq": -1}), "seq: Input should be greater than or equal to 0"),
        (json.dumps({**GOOD, "seq": 1.0}), "seq: Input should be a valid integer"),
        (json.dumps({**GOOD, "image_id": ""}), "image_id: String should have at least 1 character"),
        (json.dumps({**GOOD, "folder_id": "f" * 51}), "folder_id: String should have at most 50 characters"),
        (json.dumps({**GOOD, "folder_id": None}), "folder_id: Input should be a valid string"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(body: str, problem: str) -> None:
    with pytest.raises(UnknownMessageError) as caught:
        parse_wake_up(body)

    assert str(caught.value).startswith('a message is not a wake-up like {"v": 1, "folder_id": "...", ')
    assert problem in str(caught.value)


@given(st.text() | st.recursive(st.none() | st.text(), lambda i: st.dictionaries(st.text(), i)).map(json.dumps))
def test_no_body_raises_anything_else(body: str) -> None:
    with suppress(UnknownMessageError):
        parse_wake_up(body)


def test_no_value_of_a_body_is_shown() -> None:
    with pytest.raises(UnknownMessageError) as caught:
        parse_wake_up(json.dumps({**GOOD, "seq": "t1.secret", "folder_id": ["t1.secret"], "t1.secret": 1}))

    assert "t1.secret" not in str(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(GOOD)}]},
        {"messages": [{"event_metadata": {}, "details": {"message": {"message_id": "m", "body": json.dumps(GOOD)}}}]},
    ],
)
def test_a_record_of_either_clouds_queue_is_read(event: object) -> None:
    assert read_wake_up(event) == WAKE_UP


@pytest.mark.parametrize("event", [None, {}, {"Records": []}, {"Records": [{}]}, {"messages": [{"details": {}}]}, GOOD])
def test_an_event_that_holds_no_queue_message_is_refused(event: object) -> None:
    with pytest.raises(UnknownMessageError, match="holds no queue message; poll-operation is fed by the queue alone"):
        read_wake_up(event)


class Outbox:
    """An SQS client that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)


@given(st.integers(-100, 10_000))
def test_a_delay_stays_within_what_a_queue_takes(after: int) -> None:
    outbox: Any = Outbox()
    Queue(outbox, "http://queue").send(WAKE_UP, after=after)

    [message] = outbox.sent
    assert message["DelaySeconds"] == min(max(after, 0), 900)
    assert parse_wake_up(message["MessageBody"]) == WAKE_UP


def test_a_wake_up_goes_through_a_real_queue(aws: Aws) -> None:
    client, url = aws.client("sqs"), aws.queue()
    Queue(client, url).send(WAKE_UP, after=0)

    [message] = client.receive_message(QueueUrl=url)["Messages"]
    assert parse_wake_up(message["Body"]) == WAKE_UP
