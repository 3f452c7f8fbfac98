"""Events that arrive by themselves: bucket objects, the event bus, schedules, and their retries."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest

from local.host import LocalHost
from local.host.schedules import Clockwork, Schedule, period_seconds
from tests.local.conftest import LogBook


def echoed(line: str) -> Any:
    return ast.literal_eval(line.removeprefix("echo "))


def test_an_object_put_into_the_bucket_reaches_the_function(host: LocalHost, log: LogBook) -> None:
    bucket = host.resource("Inbox").ref
    for key in ("trail/one.json", "trail/two.json"):
        host.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")
    events = [echoed(line) for line in log.wait_for("EchoFunction", "Object Created", times=2)]
    assert {event["detail"]["object"]["key"] for event in events} == {"trail/one.json", "trail/two.json"}
    assert {event["detail"]["bucket"]["name"] for event in events} == {bucket}
    assert {event["source"] for event in events} == {"aws.s3"}
    assert len({event["id"] for event in events}) == 2


def test_only_matching_events_of_the_bus_reach_the_function(host: LocalHost, log: LogBook) -> None:
    entries = [
        {"Source": "trail", "DetailType": "record", "Detail": json.dumps({"event_type": kind, "n": number})}
        for number, kind in enumerate(["deleted", "created"])
    ]
    host.aws.client("events").put_events(Entries=entries)
    (line,) = log.wait_for("EchoFunction", "'detail-type': 'record'")
    assert echoed(line)["detail"] == {"event_type": "created", "n": 1}


def test_a_schedule_fired_by_hand_delivers_its_input(host: LocalHost) -> None:
    assert host.fire("EchoFunctionTick").result(20).payload["event"] == {"do": "tick"}


def test_a_schedule_without_input_delivers_eventbridges_own_event(host: LocalHost) -> None:
    event = host.fire("EchoFunctionBare").result(20).payload["event"]
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert event["resources"][0].endswith("EchoFunctionBare")


def test_an_unknown_schedule_is_named_with_the_known_ones(host: LocalHost) -> None:
    with pytest.raises(KeyError, match=r"Tock is no schedule.*EchoFunctionBare, EchoFunctionTick"):
        host.fire("Tock")


def test_a_failing_event_is_tried_again_and_then_kept(
    host: LocalHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    event = {"do": "raise", "marker": "poison"}
    last = host._asynchronous.submit("EchoFunction", event).result(20)
    assert last.error is not None
    assert len(log.wait_for("EchoFunction", "echo", "poison", times=2)) == 2
    wait(lambda: bool(host.dead_letters()))
    (letter,) = [letter for letter in host.dead_letters() if letter.queue == "Failures"]
    record = json.loads(letter.body)
    assert record["requestPayload"] == event
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["responsePayload"]["errorMessage"] == "asked to raise"


def test_a_rate_fires_after_each_period_and_a_cron_expression_only_by_hand() -> None:
    fired: list[str] = []
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) > 2

    clockwork = Clockwork(lambda schedule: fired.append(schedule.name), wait)
    nightly = Schedule("nightly", "F", "cron(0 3 * * ? *)", "arn", None)
    hourly = Schedule("hourly", "F", "rate(1 hour)", "arn", None)
    clockwork.start([nightly, hourly])
    clockwork.close()
    assert fired == ["hourly", "hourly"]
    assert waited == [3600, 3600, 3600]


@pytest.mark.parametrize(("expression", "seconds"), [("rate(1 minute)", 60), ("rate(2 days)", 172_800)])
def test_rates_are_read(expression: str, seconds: float) -> None:
    assert period_seconds(expression) == seconds


@pytest.mark.parametrize("expression", ["rate(0.5 hours)", "every day", "rate(1 fortnight)"])
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="is no schedule; write rate"):
        period_seconds(expression)
