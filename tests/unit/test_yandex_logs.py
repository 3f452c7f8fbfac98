"""Log lines and metrics on Yandex Cloud, where Cloud Logging takes JSON lines apart by `level` and `message`."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from image_pipeline.telemetry import LONGEST_LINE, Telemetry

LEVELS = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
_numbers = itertools.count()
Lines = Callable[[], list[dict[str, Any]]]


def telemetry(monkeypatch: pytest.MonkeyPatch, platform: Literal["aws", "yandex"] = "yandex") -> Telemetry:
    """Telemetry whose logger is made now: Powertools keeps one a service name, with the output of its first day."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"logs-{next(_numbers)}")
    return Telemetry(platform)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def root_handler() -> Iterator[None]:
    """What Yandex's runtime gives the root logger before the function's code is loaded."""
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


def test_levels_are_those_that_cloud_logging_knows(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    told = telemetry(monkeypatch)
    told.log("copy_advanced", state="ACTIVE")
    told.warn("policy_rejected")
    told.fail("record_failed", ValueError("no"))
    told.logger.critical("the_end")

    written = lines()
    assert [(line["level"], line["message"]) for line in written] == [
        ("INFO", "copy_advanced"),
        ("WARN", "policy_rejected"),
        ("ERROR", "record_failed"),
        ("FATAL", "the_end"),
    ]
    assert written[0]["state"] == "ACTIVE"
    assert written[0]["service"].startswith("logs-")
    assert {"timestamp", "location"} <= written[0].keys()
    assert {line["level"] for line in written} <= LEVELS


def test_on_aws_the_levels_keep_their_names(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    telemetry(monkeypatch, "aws").warn("policy_rejected")
    assert [line["level"] for line in lines()] == ["WARNING"]


@pytest.mark.usefixtures("root_handler")
def test_each_line_is_written_once_beside_the_runtimes_own_handler(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    telemetry(monkeypatch).warn("policy_rejected")
    assert [line["message"] for line in lines()] == ["policy_rejected"]


def test_an_exception_is_one_line(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    told = telemetry(monkeypatch)
    try:
        raise ZeroDivisionError("first\nsecond")
    except ZeroDivisionError as error:
        told.fail("invocation_failed", error)

    [line] = lines()
    assert line["error"] == "first\nsecond"
    assert "test_an_exception_is_one_line" in line["exception"]


def test_a_line_that_would_be_split_is_cut_and_keeps_its_level(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry(monkeypatch).warn("partly_taken", error="я" * LONGEST_LINE, left_alone={"x" * 70_000: 1}, intents=3)

    [text] = capsys.readouterr().out.splitlines()
    line = json.loads(text)
    assert len(text.encode()) < LONGEST_LINE
    assert (line["level"], line["message"], line["intents"]) == ("WARN", "partly_taken", 3)
    assert line["error"] == "я" * 500


def test_metrics_are_lines_and_not_the_embedded_format(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    told = telemetry(monkeypatch)
    told.measure("CopySucceeded")
    told.measure("CopySeconds", 61.5)
    told.flush()

    written = lines()
    assert [(line["message"], line["metric"], line["value"]) for line in written] == [
        ("metric", "CopySucceeded", 1),
        ("metric", "CopySeconds", 61.5),
    ]
    assert not any("_aws" in line for line in written)


def test_the_keys_of_one_invocation_do_not_reach_the_next(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    told = telemetry(monkeypatch)
    told.begin(function_request_id="first")
    told.log("event_taken")
    told.begin(function_request_id=None)
    told.log("event_taken")

    assert [line.get("function_request_id") for line in lines()] == ["first", None]
