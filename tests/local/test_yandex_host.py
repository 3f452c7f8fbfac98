"""The host in Yandex mode, with functions of the tests: what a handler gets, and what becomes of what it does."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.host import DeadLetter, FunctionError, Invocation
from local.yandex import CLEANUP, COPY, POLL, YandexHost
from local.yandex.host import SETTINGS, function_id
from local.yandex.triggers import QueueReader, QueueTrigger
from tests.local.conftest import LogBook

TOKEN = {"access_token": "t1.local", "expires_in": 42299, "token_type": "Bearer"}
ECHO = """
import os, sys, time
os.environ["SEEN"] = "1"
def handler(event, context):
    found = []
    for name in ("pydantic", "boto3", "yaml", "image_pipeline", "local", "awslambdaric", "site"):
        try:
            __import__(name)
        except ModuleNotFoundError:
            continue
        found.append(name)
    return {"event": event, "context": {**vars(context), "left": context.get_remaining_time_in_millis()},
            "path": sys.path, "found": found, "environment": dict(os.environ), "pid": os.getpid(), "cwd": os.getcwd()}
"""
CONSUME = """
import json, os, time
def handler(event, context):
    bodies = [message["details"]["message"]["body"] for message in event["messages"]]
    print(json.dumps({"batch": bodies}), flush=True)
    if "die" in bodies:
        os._exit(3)
    if any(body.startswith("fail") for body in bodies):
        raise ValueError("one of " + ", ".join(bodies))
    return {"batchItemFailures": [{"itemIdentifier": "this means nothing here"}]}
"""
MISBEHAVE = """
import asyncio, logging, time
def handler(event, context):
    what = event.get("queryStringParameters", event).get("do")
    if what == "sleep":
        time.sleep(30)
    if what == "raise":
        raise KeyError("nothing")
    if what == "set":
        return {1, 2}
    if what == "warn":
        logging.getLogger("library").warning("careful")
        logging.getLogger("library").info("unheard")
    if what == "forbidden":
        return {"statusCode": 200, "headers": {"Via": "x"}, "body": ""}
    if what == "await":
        return answer()
    if what == "answer":
        headers = {"X-Own": "1", "User-Agent": "x"}
        return {"statusCode": 201, "headers": headers, "body": "aGk=", "isBase64Encoded": True}
    return what
async def answer():
    await asyncio.sleep(0)
    return "awaited"
"""
VISIBILITY, RECEIVES = 1, 2


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("code")
    sources = {COPY: ECHO, POLL: CONSUME, CLEANUP: MISBEHAVE}
    for name, source in sources.items():
        (directory / f"{name.replace('-', '_')}.py").write_text(source)
    return dict.fromkeys(sources, directory)


def start(code: dict[str, Path], **changes: Any) -> YandexHost:
    settings: dict[str, Any] = {
        "policy": "{}",
        "environment": {"EXTRA": "set"},
        "token": lambda _function: TOKEN,
        "timeout": 1.0,
        "visibility": VISIBILITY,
        "receives": RECEIVES,
        "retry_attempts": 1,
        "retry_interval": 0.0,
    }
    return YandexHost(code=code, **{**settings, **changes})


@pytest.fixture(scope="module")
def host(code: dict[str, Path], log: LogBook) -> Iterator[YandexHost]:
    with start(code, on_log=log.add, batch_size=3) as running:
        yield running


def batches(log: LogBook, body: str, times: int = 1) -> list[list[str]]:
    return [json.loads(line)["batch"] for line in log.wait_for(POLL, '"batch"', body, times=times)]


def test_nothing_but_the_archive_and_the_standard_library_can_be_imported(
    host: YandexHost, code: dict[str, Path]
) -> None:
    seen = host.invoke(COPY, {}).payload
    assert seen["found"] == ["site"], "the standard library's own, which proves that importing works"
    assert seen["path"][0] == seen["cwd"] == str(code[COPY])
    assert not [path for path in seen["path"] if "site-packages" in path or path.startswith(str(Path.cwd()))]


def test_the_context_is_yandexs(host: YandexHost) -> None:
    invocation = host.invoke(COPY, {"what": "ever"})
    context = invocation.payload["context"]
    left = context.pop("left")
    assert invocation.payload["event"] == {"what": "ever"}
    assert 0 < left <= 1000
    assert context.pop("deadline_ms") > 0
    assert context == {
        "request_id": invocation.request_id,
        "aws_request_id": invocation.request_id,
        "function_name": function_id(COPY),
        "invoked_function_arn": function_id(COPY),
        "function_version": f"{function_id(COPY)}-v1",
        "log_stream_name": f"{function_id(COPY)}-v1",
        "log_group_name": "e23loggroup000000001",
        "memory_limit_in_mb": 512,
        "token": TOKEN,
    }


def test_the_environment_is_the_functions_own(host: YandexHost) -> None:
    environment = host.invoke(COPY, {}).payload["environment"]
    assert (environment["PLATFORM"], environment["EXTRA"]) == ("yandex", "set")
    reserved = {
        "_HANDLER",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
        "LD_LIBRARY_PATH",
        "PATH",
    }
    told = {*SETTINGS, *host.services.environment(), "EXTRA"}
    added = {"SEEN", "LC_CTYPE"}  # by the function, and by Python where no locale is set
    assert environment.keys() - added == reserved | told


def test_one_call_at_a_time_in_one_process(host: YandexHost) -> None:
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(host.invoke(COPY, {}).payload["pid"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 3
    assert set(pids) == set(host.functions[COPY].pids)


def test_a_batch_goes_as_a_whole_whatever_the_function_answers(
    host: YandexHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    host.send("good-1", host.services.poll)
    batches(log, "good-1")
    wait(lambda: waiting(host) == 0)


def waiting(host: YandexHost) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = host.services.aws.client("sqs").get_queue_attributes(QueueUrl=host.services.poll.url, AttributeNames=names)
    return sum(int(value) for value in answer["Attributes"].values())


def test_an_error_brings_the_batch_back_until_it_is_redriven(
    host: YandexHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    host.send("fail-1", host.services.poll)
    batches(log, "fail-1", times=RECEIVES)
    wait(lambda: DeadLetter("desktop-images-poll-dead-letters", "fail-1") in host.dead_letters())
    assert len(batches(log, "fail-1")) == RECEIVES
    wait(lambda: waiting(host) == 0)


class Queue:
    """The calls of an SQS client that a trigger makes."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = list(bodies)
        self.asked: dict[str, Any] = {}

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        taken = self.bodies[: asked["MaxNumberOfMessages"]]
        return {"Messages": [{"MessageId": body, "Body": body, "ReceiptHandle": body} for body in taken]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        self.bodies.remove(ReceiptHandle)


@pytest.mark.parametrize("twice", [False, True])
def test_a_batch_is_deleted_as_a_whole_or_not_at_all(*, twice: bool) -> None:
    queue, seen, error = Queue("a", "b", "c"), [], FunctionError("ValueError", "b")

    def invoke(function: str, event: Any) -> Invocation:
        seen.append([message["details"]["message"]["body"] for message in event["messages"]])
        return Invocation(function, "id", {"processed": 1}, error, (), cold_start=False, seconds=0)

    trigger = QueueTrigger("url", "arn", POLL, visibility=7, batch_size=2, deliver_twice=twice)
    reader = QueueReader(trigger, queue, invoke)
    assert reader._deliver_one_batch()
    assert queue.bodies == ["a", "b", "c"]
    assert (queue.asked["VisibilityTimeout"], queue.asked["MaxNumberOfMessages"]) == (7, 2)
    error = None  # type: ignore[assignment]
    assert reader._deliver_one_batch()
    assert queue.bodies == ["c"]
    assert seen == [["a", "b"]] * (4 if twice else 2)


def test_a_batch_whose_process_dies_comes_back(
    host: YandexHost, log: LogBook, wait: Callable[[Callable[[], bool]], None]
) -> None:
    host.send("die", host.services.poll)
    batches(log, '"die"', times=RECEIVES)
    wait(lambda: "die" in [letter.body for letter in host.dead_letters()])
    host.send("good-2", host.services.poll)
    batches(log, "good-2")


def test_other_triggers_try_again_and_then_keep_the_event(host: YandexHost) -> None:
    before = len(host.logs(CLEANUP))
    invocation = host.fire_timer(CLEANUP).result(timeout=20)
    assert invocation.error is None, "a timer's event is no trouble"
    failed = host._deliver(CLEANUP, {"do": "raise", "token": "kept"}).result(timeout=20)
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("KeyError", "'nothing'")
    kept = [json.loads(letter.body) for letter in host.dead_letters() if letter.queue.endswith("events-dead-letters")]
    assert {"do": "raise", "token": "kept"} in kept
    assert len(host.logs(CLEANUP)) == before


@pytest.mark.parametrize(
    ("do", "error_type"),
    [("sleep", "Sandbox.Timedout"), ("raise", "KeyError"), ("set", "TypeError")],
)
def test_what_goes_wrong_is_told(host: YandexHost, do: str, error_type: str) -> None:
    invocation = host.invoke(CLEANUP, {"do": do})
    assert invocation.error is not None
    assert invocation.error.type == error_type


def test_a_coroutine_is_awaited_and_text_is_an_event_too(host: YandexHost) -> None:
    assert host.invoke(CLEANUP, {"do": "await"}).payload == "awaited"
    assert host.invoke(COPY, "as it is").payload["event"] == "as it is"


def test_the_root_logger_writes_warnings(host: YandexHost) -> None:
    [line] = host.invoke(CLEANUP, {"do": "warn"}).logs
    assert line.startswith("[WARNING]")
    assert line.endswith("careful")


@pytest.mark.parametrize(
    ("do", "status", "told"),
    [
        ("sleep", 504, "Sandbox.Timedout"),
        ("raise", 502, "KeyError"),
        ("text", 502, "ProxyError"),
        ("forbidden", 502, "ProxyError"),
    ],
)
def test_a_call_that_fails_says_so(host: YandexHost, do: str, status: int, told: str) -> None:
    answer = httpx.get(f"{host.direct_url}/{CLEANUP}", params={"do": do}, timeout=30)
    assert (answer.status_code, answer.json()["errorType"]) == (status, told)
    assert answer.headers["x-function-error"] == "true"


def test_an_answer_is_taken_apart(host: YandexHost) -> None:
    answer = httpx.get(f"{host.gateway_url()}/cleanup", params={"do": "answer"}, timeout=30)
    assert (answer.status_code, answer.text, answer.headers["x-own"]) == (201, "hi", "1")
    assert "user-agent" not in answer.headers
    assert httpx.get(f"{host.gateway_url()}/nowhere", timeout=30).status_code == 404
    assert httpx.get(f"{host.direct_url}/nowhere", timeout=30).status_code == 404


def test_there_is_one_host_at_a_time(host: YandexHost) -> None:
    with pytest.raises(RuntimeError, match="A local host is already running"), start({}):
        pass


def test_closing_leaves_no_process(host: YandexHost) -> None:
    pids = [pid for function in host.functions.values() for pid in function.pids]
    assert pids
    host.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    host.close()


def test_a_module_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    (tmp_path / "cleanup.py").write_text("import nothing_like_it")
    with start({CLEANUP: tmp_path, COPY: tmp_path, POLL: tmp_path}) as host:
        invocation = host.invoke(CLEANUP, {})
    assert invocation.error is not None
    assert invocation.error.type == "ModuleNotFoundError"
