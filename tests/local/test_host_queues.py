"""Queue batches: partial failures, lost processes, redrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.host import FunctionError, Invocation, LocalHost
from local.host.queues import failed_message_ids
from tests.local.conftest import LogBook


def send(host: LocalHost, body: str) -> None:
    attributes = {"kind": {"DataType": "String", "StringValue": "wake-up"}}
    host.aws.client("sqs").send_message(
        QueueUrl=host.resource("Work").ref, MessageBody=body, MessageAttributes=attributes
    )


def waiting(host: LocalHost) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = host.aws.client("sqs").get_queue_attributes(QueueUrl=host.resource("Work").ref, AttributeNames=names)
    return sum(int(value) for value in answer["Attributes"].values())


def test_a_message_arrives_as_lambdas_record_and_leaves_the_queue(
    host: LocalHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    send(host, "plain")
    (line,) = log.wait_for("ConsumeFunction", '"received": "plain"')
    record = json.loads(line)["record"]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == host.resource("Work").attributes["Arn"]
    assert record["awsRegion"] == "eu-central-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert int(record["attributes"]["SentTimestamp"]) > 0
    assert record["messageAttributes"]["kind"]["stringValue"] == "wake-up"
    assert record["messageAttributes"]["kind"]["dataType"] == "String"
    assert record["md5OfBody"]
    wait(lambda: waiting(host) == 0)


def test_a_reported_failure_comes_back_alone_and_ends_in_the_dead_letter_queue(
    host: LocalHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    send(host, "fail this")
    send(host, "but not this")
    lines = log.wait_for("ConsumeFunction", '"received": "fail this"', times=2)
    counts = [json.loads(line)["record"]["attributes"]["ApproximateReceiveCount"] for line in lines]
    assert counts == ["1", "2"]
    wait(lambda: "fail this" in [letter.body for letter in host.dead_letters()])
    assert [letter.queue for letter in host.dead_letters() if letter.body == "fail this"] == ["WorkDead"]
    assert len(log.wait_for("ConsumeFunction", '"received": "but not this"')) == 1
    wait(lambda: waiting(host) == 0)


def test_a_batch_whose_process_dies_comes_back(
    host: LocalHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    send(host, "kill")
    log.wait_for("ConsumeFunction", '"received": "kill"', times=2)
    wait(lambda: "kill" in [letter.body for letter in host.dead_letters()])
    send(host, "afterwards")
    log.wait_for("ConsumeFunction", '"received": "afterwards"')


EVENT = {"Records": [{"messageId": "a"}, {"messageId": "b"}]}


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "b"}]}, {"b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": "c"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"wrong": "b"}]}, {"a", "b"}),
        ({"batchItemFailures": "b"}, {"a", "b"}),
        ("text", {"a", "b"}),
    ],
)
def test_the_report_decides_what_comes_back(payload: Any, failed: set[str]) -> None:
    invocation = Invocation("F", "id", payload, None, (), cold_start=False, seconds=0)
    assert failed_message_ids(invocation, EVENT, reports_failures=True) == failed
    assert failed_message_ids(invocation, EVENT, reports_failures=False) == set()


def test_a_failed_invocation_fails_the_whole_batch() -> None:
    error = FunctionError("ValueError", "no")
    invocation = Invocation("F", "id", {"batchItemFailures": []}, error, (), cold_start=False, seconds=0)
    assert failed_message_ids(invocation, EVENT, reports_failures=True) == {"a", "b"}
    assert failed_message_ids(invocation, EVENT, reports_failures=False) == {"a", "b"}
