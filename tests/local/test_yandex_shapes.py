"""The events of the Yandex host have the form of the documented samples in events/."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from image_pipeline.events import read_event
from local.host.http_events import HttpRequest
from local.yandex import http_events, shapes

EVENTS = Path(__file__).parents[2] / "events"
NOW = datetime(2026, 8, 1, 10, 0, 0, 123456, tzinfo=UTC)
IMAGE = "fd8computeimage00001"
RECORD = shapes.audit_record(IMAGE, NOW)
REQUEST = HttpRequest(
    "POST",
    "/images:copy?a=1&a=2",
    (
        ("Host", "functions.yandexcloud.net"),
        ("Authorization", "Bearer t1.caller"),
        ("Cookie", "session=1"),
        ("Accept", "*/*"),
        ("accept", "text/plain"),
        ("User-Agent", "curl/8.5.0"),
        ("Content-Type", "application/json"),
    ),
    b'{"imageId": "fd8"}',
)
OPTIONAL_IN_RECORDS = {"authentication", "request_metadata"}


def form(value: Any) -> Any:
    """What a value looks like: its keys and types, and whether a text is a time."""
    if isinstance(value, dict):
        if "event_status" in value:
            return "an audit record"
        return {key: form(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [form(value[-1])] if value else []
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?Z", value):
        return "a time"
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8}\.\d{9} \+0000 UTC", value):
        return "a time of Cloud Logging"
    return type(value).__name__


MADE = {
    "yandex-timer": shapes.timer("a1s", "", NOW),
    "yandex-message-queue": shapes.queue(
        shapes.queue_arn("images"), [{"MessageId": "m", "Body": json.dumps(RECORD), "Attributes": {}}], NOW
    ),
    "yandex-object-storage": shapes.object_created("bucket", "key.json", NOW),
    "yandex-cloud-logging": shapes.log_entries([RECORD], NOW),
    "yandex-data-streams": shapes.stream_records([RECORD]),
    "yandex-event-router-bare": shapes.routed(RECORD, "bare"),
    "yandex-event-router-messages": shapes.routed(RECORD, "messages"),
}


@pytest.mark.parametrize("name", MADE)
def test_a_triggers_event_has_the_documented_form(name: str) -> None:
    sample = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    assert form(MADE[name]) == form(sample)


def test_an_audit_record_has_the_keys_of_the_samples() -> None:
    sample = json.loads((EVENTS / "yandex-event-router-bare.json").read_text(encoding="utf-8"))
    assert RECORD.keys() == sample.keys() - OPTIONAL_IN_RECORDS
    assert read_event(shapes.routed(RECORD, "array")).intents == read_event(RECORD).intents


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("yandex-http-function-call", http_events.direct_event(REQUEST, "ANY /", {})),
        ("yandex-api-gateway-0.1", http_events.gateway_event_0_1(REQUEST, "POST /images:copy", {"proxy": "x"})),
        ("yandex-api-gateway-1.0", http_events.gateway_event_1_0(REQUEST, "POST /images:copy", {"proxy": "x"})),
    ],
)
def test_a_call_has_the_documented_form(name: str, made: dict[str, Any]) -> None:
    sample = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    differing = {"headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters"}
    assert made.keys() == sample.keys()
    assert {key: form(made[key]) for key in sample.keys() - differing} == {
        key: form(sample[key]) for key in sample.keys() - differing
    }


def test_headers_are_taken_out_and_the_last_of_several_counts() -> None:
    made = http_events.direct_event(REQUEST, "", {})
    assert made["multiValueHeaders"]["Accept"] == ["*/*", "text/plain"]
    assert made["headers"]["Accept"] == "text/plain"
    assert not made["headers"].keys() & {"Authorization", "Cookie"}
    assert made["queryStringParameters"] == {"a": "2"}
    assert made["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
    assert (made["body"], made["isBase64Encoded"]) == ('{"imageId": "fd8"}', False)


def test_the_gateway_of_deploy_yandex_puts_the_path_into_the_query() -> None:
    made = http_events.gateway_event_http(REQUEST, "POST /images:copy", {})
    assert (made["url"], made["queryStringParameters"]) == ("", {"a": "2", "path": "/images:copy"})


def test_a_body_that_is_no_text_is_encoded() -> None:
    made = http_events.direct_event(HttpRequest("POST", "/", (), b"\xff\x00"), "", {})
    assert (made["body"], made["isBase64Encoded"]) == ("/wA=", True)
