"""Queue records, one by one: a failing one is delivered again, the others are not.

AWS takes the failing records' ids as an answer; Powertools' batch processor gives it. A Yandex trigger knows only the
whole batch, so there the others are finished first and then the invocation fails: what comes again is found done. A
batch size of 1, as deploy/yandex sets it, leaves no others, and spares them the way to the dead-letter queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from image_pipeline.adapters import Adapters
from image_pipeline.events import UnknownEventError, shape

TIME_FOR_A_RECORD = 5.0
"""Seconds that must be left for a record to be begun; without them it goes back to the queue untouched."""


def is_sqs(event: object) -> bool:
    """Whether the event is a batch of SQS."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return True
    return False


def is_message_queue(event: object) -> bool:
    """Whether the event is a batch of Yandex Message Queue; one good message is enough to know it by."""
    match event:
        case {"messages": list() as messages}:
            return any(_is_queue_message(message) for message in messages)
    return False


def _is_queue_message(message: object) -> bool:
    match message:
        case {"details": {"message": {"body": str()}}}:
            return True
    return False


def each_record(
    adapters: Adapters, event: dict[str, Any], context: Any, handle: Callable[[dict[str, Any]], Any]
) -> Any:
    """Hand each record of a batch to `handle`, as an event of its own.

    Returns the failed records' ids in the form that Lambda's queue trigger takes (`batchItemFailures`).

    Raises:
        BatchFailedError: on Yandex, after all records have had their turn, if one failed.
        UnknownEventError: the event is no batch of a queue.
    """

    def attempt(record: dict[str, Any], wrap: str) -> None:
        try:
            if adapters.remaining() < TIME_FOR_A_RECORD:
                raise NoTimeLeftError("no time is left for this record; it stays in the queue")
            handle({wrap: [record]})
        except Exception as error:
            adapters.telemetry.fail("record_failed", error, message_id=_message_id(record))
            adapters.telemetry.measure("RecordsFailed")
            raise

    if is_message_queue(event):
        return _whole_batch(event["messages"], attempt)
    if not is_sqs(event):
        raise UnknownEventError(f"no batch of SQS or Message Queue is {shape(event)}")
    from aws_lambda_powertools.utilities.batch import (  # noqa: PLC0415 - not on Yandex
        BatchProcessor,
        EventType,
        process_partial_response,
    )

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(
        event=event,
        record_handler=lambda record: attempt(record.raw_event, "Records"),
        processor=processor,
        context=context,
    )


class NoTimeLeftError(Exception):
    """The invocation ends before the record could be done; nothing was begun."""


class BatchFailedError(Exception):
    """Some records of a batch failed; the queue gives all of them back."""


def _whole_batch(records: list[dict[str, Any]], attempt: Callable[[dict[str, Any], str], None]) -> dict[str, int]:
    failures: list[Exception] = []
    for record in records:
        try:
            attempt(record, "messages")
        except Exception as error:  # noqa: BLE001 - reported, and raised below for the whole batch
            failures.append(error)
    if failures:
        raise BatchFailedError(f"{len(failures)} of {len(records)} records failed, the first with: {failures[0]}")
    return {"processed": len(records)}


def _message_id(record: object) -> str:
    match record:
        case {"details": {"message": {"message_id": str() as message_id}}} | {"messageId": str() as message_id}:
            return message_id
    return ""
