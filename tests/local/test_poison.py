"""A message that cannot be understood ends in the dead-letter queue, with its reason in the log and in a metric."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from local.host import LocalHost
from tests.rig.pipeline import policy_json

ROOT = Path(__file__).parent.parent.parent
POISON = '{"v": 1, "folder_id": "b1gtarget", "image_id": 7, "seq": 1}'


def test_poison_reaches_the_dead_letter_queue_after_its_receives() -> None:
    lines: list[str] = []
    wait = threading.Event()
    with LocalHost(
        template=ROOT / "template.yaml",
        parameters={"ImagePolicy": policy_json(), "ServiceAccountKeySecret": "none"},
        properties={"PollQueue": {"VisibilityTimeout": 1}},
        on_log=lambda _function, line: lines.append(line),
    ) as host:
        host.aws.client("sqs").send_message(QueueUrl=host.resource("PollQueue").ref, MessageBody=POISON)
        end = time.monotonic() + 40
        while not host.dead_letters() and time.monotonic() < end:
            wait.wait(0.1)
        [letter] = host.dead_letters()

    assert (letter.queue, letter.body) == ("PollDeadLetterQueue", POISON)
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    failures = [line for line in logged if line.get("message") == "record_failed"]
    assert len(failures) == 5, "as often as template.yaml lets a message be received"
    assert "image_id: Input should be a valid string" in failures[0]["error"]
    assert sum(line.get("RecordsFailed", [0])[0] for line in logged) == 5
