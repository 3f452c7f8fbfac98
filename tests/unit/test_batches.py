"""Batches of both clouds' queues: every record has its turn, and what fails comes again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from image_pipeline.batches import (
    TIME_FOR_A_RECORD,
    BatchFailedError,
    each_record,
    is_message_queue,
    is_sqs,
)
from image_pipeline.events import UnknownEventError
from tests.rig.pipeline import Rig


def sqs(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {"eventSource": "aws:sqs", "messageId": f"m{number}", "body": body, "attributes": {}}
            for number, body in enumerate(bodies)
        ]
    }


def message_queue(*bodies: str) -> dict[str, Any]:
    return {
        "messages": [
            {"event_metadata": {}, "details": {"message": {"message_id": f"m{number}", "body": body}}}
            for number, body in enumerate(bodies)
        ]
    }


class Handled:
    """Keeps the records it is handed, and fails at those whose body is `bad`."""

    def __init__(self, each: Callable[[], None] = lambda: None) -> None:
        self.bodies: list[Any] = []
        self._each = each

    def __call__(self, event: dict[str, Any]) -> None:
        self._each()
        match event:
            case {"Records": [{"body": body}]} | {"messages": [{"details": {"message": {"body": body}}}]}:
                self.bodies.append(body)
            case {"messages": [other]}:
                body = "bad"
                self.bodies.append(other)
            case _:
                raise AssertionError(f"{event} is not one record in its envelope")
        if body == "bad":
            raise ValueError("this one is bad")


def test_on_aws_the_failed_records_are_named_and_the_others_are_done(rig: Rig) -> None:
    handled = Handled()

    answer = each_record(rig.adapters, sqs("a", "bad", "c", "bad"), None, handled)

    assert handled.bodies == ["a", "bad", "c", "bad"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]}
    assert rig.record.metrics["RecordsFailed"] == 2
    assert [(line["event"], line["message_id"], line["error"]) for line in rig.record.lines] == [
        ("record_failed", "m1", "this one is bad"),
        ("record_failed", "m3", "this one is bad"),
    ]


@pytest.mark.parametrize(("bodies", "failed"), [(["a"], []), (["bad"], ["m0"]), (["bad", "bad"], ["m0", "m1"])])
def test_on_aws_a_batch_without_a_good_record_is_answered_as_well(
    rig: Rig, bodies: list[str], failed: list[str]
) -> None:
    answer = each_record(rig.adapters, sqs(*bodies), None, Handled())

    assert answer == {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def test_on_yandex_the_others_are_done_before_the_whole_batch_fails(rig: Rig) -> None:
    handled = Handled()

    with pytest.raises(BatchFailedError, match=r"^2 of 4 records failed, the first with: this one is bad$"):
        each_record(rig.adapters, message_queue("bad", "b", "bad", "d"), None, handled)

    assert handled.bodies == ["bad", "b", "bad", "d"]
    assert [line["message_id"] for line in rig.record.lines] == ["m0", "m2"]


def test_on_yandex_a_good_batch_is_counted(rig: Rig) -> None:
    assert each_record(rig.adapters, message_queue("a", "b"), None, Handled()) == {"processed": 2}


def test_a_malformed_message_stops_no_other_wherever_it_stands(rig: Rig) -> None:
    batch = message_queue("a")
    batch["messages"] = [7, {"details": "?"}, *batch["messages"]]
    handled = Handled()

    assert is_message_queue(batch)
    with pytest.raises(BatchFailedError, match="2 of 3 records failed"):
        each_record(rig.adapters, batch, None, handled)

    assert handled.bodies[-1] == "a"


def test_records_for_which_no_time_is_left_are_not_begun() -> None:
    rig = Rig(remaining=lambda: TIME_FOR_A_RECORD + 30 - rig.clock.monotonic() + started)
    started = rig.clock.monotonic()
    handled = Handled(each=lambda: rig.clock.advance(12))

    answer = each_record(rig.adapters, sqs("a", "b", "c", "d", "e"), None, handled)

    assert handled.bodies == ["a", "b", "c"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m3"}, {"itemIdentifier": "m4"}]}
    assert rig.record.lines[0]["error"] == "no time is left for this record; it stays in the queue"


def test_on_yandex_want_of_time_fails_the_batch_too() -> None:
    rig = Rig(remaining=lambda: TIME_FOR_A_RECORD - 1)

    with pytest.raises(BatchFailedError, match="1 of 1 records failed, the first with: no time is left"):
        each_record(rig.adapters, message_queue("a"), None, Handled())


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({}, "an empty object"),
        ({"Records": []}, "an object with the keys Records"),
        ({"Records": [{"eventSource": "aws:s3"}]}, "an object with the keys Records"),
        ({"messages": []}, "an object with the keys messages"),
        ({"messages": [{"event_metadata": {}, "details": {}}]}, "an object with the keys messages"),
        ([], "a list"),
        (None, "nothing"),
    ],
)
def test_what_is_no_batch_of_a_queue_is_refused(rig: Rig, event: Any, found: str) -> None:
    assert not is_sqs(event)
    assert not is_message_queue(event)
    with pytest.raises(UnknownEventError) as caught:
        each_record(rig.adapters, event, None, Handled())

    assert str(caught.value) == f"no batch of SQS or Message Queue is {found}"
