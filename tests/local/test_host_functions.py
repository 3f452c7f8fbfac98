"""Invocations: what a function sees, and every end an invocation may have."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from local.host import LocalHost

FIXTURES = Path(__file__).parent / "fixtures"


def test_a_function_finds_lambdas_surroundings(host: LocalHost) -> None:
    seen = host.invoke("EchoFunction", {"do": "where"}).payload
    environment = seen["environment"]
    assert seen["cwd"] == environment["LAMBDA_TASK_ROOT"] == str(FIXTURES / "functions" / "echo")
    assert seen["book"] == "from the layer"
    assert seen["name"] == environment["AWS_LAMBDA_FUNCTION_NAME"] == "desktop-images-EchoFunction"
    assert seen["arn"] == "arn:aws:lambda:eu-central-1:123456789012:function:desktop-images-EchoFunction"
    assert seen["memory"] == environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "192"
    assert seen["request_id"]
    assert 15_000 < seen["remaining_ms"] <= 20_000
    assert environment["_HANDLER"] == "echo.handler"
    assert environment["AWS_ENDPOINT_URL"] == host.aws.endpoint


def test_the_environment_is_the_templates_and_nothing_of_this_machine(host: LocalHost) -> None:
    environment = host.invoke("EchoFunction", {"do": "where"}).payload["environment"]
    assert environment["GREETING"] == "hello"
    assert environment["QUEUE_URL"] == host.resource("Work").ref
    assert environment["TABLE"] == "desktop-images-Ledger"
    assert environment["BUCKET_ARN"] == "arn:aws:s3:::desktop-images-inbox"
    assert environment["TOPIC"].endswith(":desktop-images-Notices")
    assert environment["CHOSEN"] == "none"
    assert environment["JOINED"] == "b-desktop-images"
    assert environment["SUBSTITUTED"] == "hello eu-central-1 ${Literal} desktop-images-Work"
    assert environment["EMPTY"] == ""
    assert environment["EXTRA_SETTING"] == "set"
    assert "ABSENT" not in environment
    assert "HOME" not in environment


def test_a_process_stays_warm_between_invocations(host: LocalHost) -> None:
    first = host.invoke("EchoFunction", {"n": 1})
    second = host.invoke("EchoFunction", {"n": 2})
    assert not second.cold_start
    assert second.payload["pid"] == first.payload["pid"]
    assert second.payload["calls"] == first.payload["calls"] + 1
    assert second.logs == ("echo {'n': 2}",)
    assert second.request_id != first.request_id


def test_a_raised_error_is_reported_and_the_process_lives_on(host: LocalHost) -> None:
    before = host.invoke("EchoFunction", {}).payload["pid"]
    failed = host.invoke("EchoFunction", {"do": "raise"})
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("ValueError", "asked to raise")
    assert failed.payload["errorType"] == "ValueError"
    assert any("asked to raise" in line for line in failed.logs)
    assert host.invoke("EchoFunction", {}).payload["pid"] == before


def test_a_process_that_exits_fails_its_invocation_and_is_replaced(host: LocalHost) -> None:
    failed = host.invoke("EchoFunction", {"do": "exit"})
    assert failed.error is not None
    assert failed.error.type == "Runtime.ExitError"
    assert failed.error.message.endswith("exit status 3")
    assert host.invoke("EchoFunction", {}).cold_start


def test_an_idle_process_killed_from_outside_is_replaced(
    host: LocalHost, wait: Callable[[Callable[[], bool]], None]
) -> None:
    host.invoke("EchoFunction", {})
    (pid,) = host.functions["EchoFunction"].pids
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not host.functions["EchoFunction"].pids)
    assert host.invoke("EchoFunction", {}).error is None


def test_a_handler_that_cannot_be_loaded_fails_each_invocation(host: LocalHost) -> None:
    for _ in range(2):
        failed = host.invoke("BrokenFunction", {})
        assert failed.error is not None
        assert failed.error.type == "Runtime.HandlerNotFound"


def test_every_json_value_may_be_returned(host: LocalHost) -> None:
    for value in (None, 1, "text", [1, {"ä": "€"}], {"statusCode": "no response here"}):
        assert host.invoke("EchoFunction", {"do": "answer", "answer": value}).payload == value
