"""What the functions say of themselves on AWS: JSON lines with constant messages, metrics in the embedded format."""

from __future__ import annotations

import ast
import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud_desktop import ApiError, ConfigurationError
from image_pipeline.notices import NoticeError
from image_pipeline.telemetry import NAMESPACE, Telemetry
from tests.unit.test_copies import a_copy

PIPELINE = Path(__file__).parents[2] / "layers" / "desktop-images" / "image_pipeline"
_numbers = itertools.count()
Begin = Callable[[], Telemetry]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Make telemetry within the test: Powertools keeps one logger a service name, with the output of its first day."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"stack-{next(_numbers)}")
    return Telemetry


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_json_object_with_a_constant_message(begin: Begin, lines: Lines) -> None:
    telemetry = begin()
    telemetry.log("event_taken", intents=2, left_alone={"status STARTED": 1}, odd="a\nb")
    telemetry.warn("policy_rejected", error="{")

    one, other = lines()
    assert (one["message"], one["level"], one["intents"], one["odd"]) == ("event_taken", "INFO", 2, "a\nb")
    assert one["left_alone"] == {"status STARTED": 1}
    assert one["service"].startswith("stack-")
    assert (other["message"], other["level"]) == ("policy_rejected", "WARNING")


def test_a_line_about_a_copy_ties_to_all_others_about_it(begin: Begin, lines: Lines) -> None:
    telemetry = begin()
    telemetry.log_copy("copy_advanced", a_copy(seq=3, operation_id="op1", route="office"), was="COPYING")

    [line] = lines()
    assert line["message"] == "copy_advanced"
    assert line["correlation_id"] == "b1gtarget/fd8computeimage00001"
    assert (line["state"], line["was"], line["seq"], line["route"]) == ("ACTIVE", "COPYING", 3, "office")
    assert line["operation_id"] == "op1"


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("IMAGE_POLICY", "is wrong"),
        ApiError(7, "Permission denied", http_status=403, method="GET", path="/x", request_id="r"),
        ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "PutItem"),
        NoticeError("the webhook of NOTIFY_WEBHOOK_URL answered 500, not 2xx"),
    ],
)
def test_an_expected_error_is_its_type_and_sentence(begin: Begin, lines: Lines, error: Exception) -> None:
    telemetry = begin()
    telemetry.fail("record_failed", error, message_id="m1")

    [line] = lines()
    assert (line["message"], line["level"], line["message_id"]) == ("record_failed", "ERROR", "m1")
    assert (line["error_type"], line["error"]) == (type(error).__name__, str(error))
    assert "exception" not in line


def test_an_unexpected_error_brings_its_trace_in_the_same_line(begin: Begin, lines: Lines) -> None:
    telemetry = begin()
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        telemetry.fail("invocation_failed", error)

    [line] = lines()
    assert "test_an_unexpected_error_brings_its_trace" in line["exception"]


def test_metrics_leave_in_the_embedded_format_when_the_invocation_ends(begin: Begin, lines: Lines) -> None:
    telemetry = begin()
    telemetry.measure("CopiesActive")
    telemetry.measure("CopiesActive", 2)
    telemetry.measure("CopySeconds", 61.5)
    assert lines() == []

    telemetry.flush()
    [line] = lines()
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    assert directive["Dimensions"] == [["service"]]
    assert line["service"].startswith("stack-"), "the alarms of template.yaml look at the stack's name"
    assert directive["Metrics"] == [
        {"Name": "CopiesActive", "Unit": "Count"},
        {"Name": "CopySeconds", "Unit": "Seconds"},
    ]
    assert (line["CopiesActive"], line["CopySeconds"]) == ([1.0, 2.0], [61.5])


def test_metrics_are_flushed_once(begin: Begin, lines: Lines) -> None:
    telemetry = begin()
    telemetry.measure("CopiesActive")
    telemetry.flush()
    telemetry.flush()
    assert len(lines()) == 1

    Telemetry().flush()
    assert lines() == []


def test_the_keys_of_one_invocation_do_not_reach_the_next(begin: Begin, lines: Lines) -> None:
    telemetry = begin()
    telemetry.begin(function_request_id="first")
    telemetry.log("event_taken")
    telemetry.begin(function_request_id="second")
    telemetry.log("event_taken")
    telemetry.begin()
    telemetry.log("event_taken")

    assert [line.get("function_request_id") for line in lines()] == ["first", "second", None]


def test_a_hushed_process_writes_neither_lines_nor_metrics(begin: Begin, capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = begin()
    telemetry.hush()
    telemetry.measure("CopiesActive")
    telemetry.fail("record_failed", ValueError("x"))
    telemetry.flush()

    assert capsys.readouterr().out == ""


CALLS = {"log", "warn", "fail", "log_copy"}


def _telemetry_calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PIPELINE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                owner = ast.unparse(node.func.value)
                if owner.endswith("telemetry"):
                    yield f"{path.name}:{node.lineno}", node


def test_every_log_event_is_a_constant_snake_case_name() -> None:
    calls = list(_telemetry_calls())
    assert len(calls) > 10
    for place, call in calls:
        event = call.args[0]
        for choice in (event.body, event.orelse) if isinstance(event, ast.IfExp) else (event,):
            assert isinstance(choice, ast.Constant), place
            assert re.fullmatch(r"[a-z]+(_[a-z]+)*", str(choice.value)), place


def test_no_field_has_a_name_that_python_logging_keeps_for_itself() -> None:
    reserved = {*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime"}
    for place, call in _telemetry_calls():
        fields = {keyword.arg for keyword in call.keywords}
        assert not fields & reserved, f"{place} would fail: {fields & reserved}"


def test_no_event_context_or_environment_is_ever_logged_whole() -> None:
    for place, call in _telemetry_calls():
        for keyword in call.keywords:
            assert ast.unparse(keyword.value) not in {"event", "context", "record", "environ", "os.environ"}, place
