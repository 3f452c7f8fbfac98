"""No secret is in anything that leaves: logs, rows, messages, errors, notices and answers of a faulty run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from image_pipeline.telemetry import Telemetry
from local.emulator.faults import SURVIVABLE, Fault
from tests.rig.aws import Aws
from tests.rig.deployed import Deployed, deployed
from tests.rig.http import event
from tests.rig.pipeline import SOURCE, policy_json

AWS_SECRET = "aws-secret-that-must-not-be-seen-anywhere"
HOOK_SECRET = "hook-secret-that-must-not-be-seen"
MENU = (*SURVIVABLE, Fault(kind="forbidden"), Fault(kind="redirect"), Fault(kind="mangled", body="html"))
CALLS = [
    ("copy", event("POST", "/sweep")),
    ("poll", event("GET", "/copies")),
    ("poll", event("GET", "/operations/e3vnone")),
    ("cleanup", event("GET", "/cleanup")),
    ("cleanup", event("POST", "/cleanup")),
    ("copy", event("POST", "/images:copy", {"imageId": "fd8none"})),
    ("copy", {"imageId": "fd8none"}),
    ("copy", {"unknown": "event"}),
    ("poll", {"Records": [{"messageId": "m", "body": "junk", "eventSource": "aws:sqs"}]}),
]


class Hook(BaseHTTPRequestHandler):
    """A webhook that keeps what it is told, and fails every other time."""

    told: list[str] = []  # noqa: RUF012 - of the one server of a test

    def do_POST(self) -> None:
        self.told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200 if len(self.told) % 2 else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.told.clear()
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{HOOK_SECRET}"
        server.shutdown()
        thread.join()


@pytest.fixture
def functions(aws: Aws, hook: str, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    changes = {
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "NOTIFY_WEBHOOK_URL": hook,
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_SERVICE_NAME": request.node.name,  # a logger of its own, which writes to this test's output
    }
    with deployed(aws, policy=policy_json(cleanup="apply"), with_key=True, **changes) as running:
        yield running


def secrets(functions: Deployed) -> set[str]:
    """What must not be seen: every token issued, the key's lines, the secret of AWS, the webhook's address."""
    key = json.loads(functions.settings["YC_SERVICE_ACCOUNT_KEY_FILE"])
    lines = {line for line in key["private_key"].splitlines() if len(line) > 40 and " " not in line}
    tokens = set(functions.world.identity._tokens)
    assert tokens
    assert len(lines) > 20
    return tokens | lines | {AWS_SECRET, HOOK_SECRET}


def everything(functions: Deployed, aws: Aws, answers: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    rows = aws.client("dynamodb").scan(TableName=functions.settings["COPIES_TABLE"])["Items"]
    sqs = aws.client("sqs")
    messages: list[Any] = []
    while found := sqs.receive_message(
        QueueUrl=functions.settings["POLL_QUEUE_URL"], MaxNumberOfMessages=10, AttributeNames=["All"]
    ).get("Messages"):
        messages += found
    seen = capfd.readouterr()
    return "\n".join([seen.out, seen.err, repr(rows), repr(messages), *answers, *Hook.told])


def run(functions: Deployed) -> list[str]:
    answers = []
    for number in range(12):
        functions.world.add_compute_image(folder_id=SOURCE, name=f"win11-{number}", family="win11-a")
    for _ in range(6):
        for function, call in CALLS:
            try:
                answers.append(repr(functions.invoke(function, call)))
            except Exception as error:  # noqa: BLE001 - what the runtime would report is looked at too
                answers.append(f"{error!r} {error} {error.__cause__!r} {error.__context__!r}")
    return answers


def test_a_faulty_run_shows_no_secret(functions: Deployed, aws: Aws, capfd: pytest.CaptureFixture[str]) -> None:
    functions.faults.randomise(0.4, 3, [fault for fault in MENU if fault.kind not in {"latency", "lost_answer"}])

    answers = run(functions)

    seen = everything(functions, aws, answers, capfd)
    assert functions.faults.fired.total() > 20
    assert "copy_advanced" in seen
    assert "ERROR" in seen
    for secret in secrets(functions):
        assert secret not in seen


def test_a_planted_leak_is_found(
    functions: Deployed, aws: Aws, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Telemetry.log

    def leaky(self: Telemetry, name: str, **fields: object) -> None:
        log(self, name, token=next(iter(functions.world.identity._tokens), ""), **fields)

    monkeypatch.setattr(Telemetry, "log", leaky)
    answers = run(functions)

    seen = everything(functions, aws, answers, capfd)

    assert any(secret in seen for secret in secrets(functions))
