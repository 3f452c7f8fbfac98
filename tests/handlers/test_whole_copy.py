"""One copy from its announcement to ACTIVE through the handlers, as each cloud's runtime and queue call them."""

from __future__ import annotations

import importlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from image_pipeline import wake_ups
from image_pipeline.copies import State
from image_pipeline.wake_ups import parse_wake_up
from local.emulator.faults import Fault
from local.host.queues import sqs_record
from tests.handlers.test_every_trigger import EVENTS, load
from tests.rig.aws import Aws
from tests.rig.deployed import MODULES, Deployed, deployed
from tests.rig.pipeline import SOURCE, TARGET

Platform = Literal["aws", "yandex"]
_numbers = itertools.count()


@dataclass
class Context:
    """What both runtimes hand over, by the names that they share; `token` is Yandex's alone."""

    aws_request_id: str
    token: dict[str, Any] | None = None
    function_name: str = "poll-operation"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:poll-operation"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class Story:
    """A deployment on one cloud, its queue, and how that cloud calls its functions."""

    platform: Platform
    functions: Deployed
    sqs: Any
    queue_url: str
    invocations: int = 0

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        self.invocations += 1
        token: dict[str, Any] | None = None
        if self.platform == "yandex":
            token = {
                "access_token": self.functions.world.issue_token(),
                "expires_in": 43_200,
                "token_type": "Bearer",
            }
        handler = importlib.import_module(MODULES[function]).handler
        return handler(event, Context(f"request-{self.invocations}", token))

    def states(self) -> list[str]:
        """The states of all copies, as the HTTP API gives them."""
        answered = self.invoke("poll", load(EVENTS / "aws-http-api-list-copies.json"))
        return [copy["state"] for copy in json.loads(answered["body"])["copies"]]

    def deliver(self) -> list[int]:
        """Deliver what the queue holds as one batch, delete it, and return the sequence numbers."""
        messages = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        if messages:
            done: dict[str, Any] = {"aws": {"batchItemFailures": []}, "yandex": {"processed": len(messages)}}
            assert self.invoke("poll", self._batch(messages)) == done[self.platform]
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [parse_wake_up(message["Body"]).seq for message in messages]

    def _batch(self, messages: list[Any]) -> dict[str, Any]:
        if self.platform == "aws":
            arn = "arn:aws:sqs:eu-central-1:123456789012:poll"
            return {"Records": [sqs_record(message, arn) for message in messages]}
        envelope = load(EVENTS / "yandex-message-queue-wake-up.json")["messages"][0]
        return {
            "messages": [
                {
                    **envelope,
                    "details": {
                        "queue_id": "yrn:yc:ymq:ru-central1:b1gsource:poll",
                        "message": {"message_id": message["MessageId"], "body": message["Body"]},
                    },
                }
                for message in messages
            ]
        }


@pytest.fixture(params=["aws", "yandex"])
def story(request: pytest.FixtureRequest, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setattr(wake_ups, "QUEUE_LIMIT", 0)  # no message is delayed, so nothing has to sleep
    own_logger = f"story-{next(_numbers)}"  # its output is what capsys reads
    on_aws = deployed(aws, with_key=True, POWERTOOLS_SERVICE_NAME=own_logger)
    on_yandex = deployed(aws, platform="yandex", YC_TOKEN="", POWERTOOLS_SERVICE_NAME=own_logger)
    with on_aws if request.param == "aws" else on_yandex as functions:
        yield Story(request.param, functions, aws.client("sqs"), functions.settings["POLL_QUEUE_URL"])


def test_a_copy_is_followed_over_the_queue_until_it_is_active(story: Story) -> None:
    world, faults = story.functions.world, story.functions.faults
    image_id = world.add_compute_image(folder_id=SOURCE, name="w", family="win11-office", status="CREATING").id

    story.invoke("copy", {"imageId": image_id})
    assert story.states() == [State.WAITING_FOR_SOURCE]
    assert story.deliver() == [1]
    assert story.states() == [State.WAITING_FOR_SOURCE]

    world.set_compute_status(image_id, "READY")
    faults.add(Fault(kind="too_many_operations", times=None))
    assert story.deliver() == [2]
    assert story.states() == [State.WAITING_TO_RETRY]

    faults.clear()
    assert story.deliver() == [3]
    assert story.states() == [State.ACTIVE]
    assert story.deliver() == []
    [image] = world.desktop_images(TARGET)
    assert (image.source_image_id, image.status) == (image_id, "ACTIVE")


def test_every_line_is_json_and_belongs_to_its_invocation(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    image_id = story.functions.world.add_compute_image(folder_id=SOURCE, name="w", family="win11-office").id

    story.invoke("copy", {"imageId": image_id})
    story.invoke("poll", load(EVENTS / "yandex-message-queue-wake-up.json"))

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    own = [line for line in lines if "message" in line]
    assert {line["function_request_id"] for line in own} == {"request-1", "request-2"}
    about = [line for line in own if line["message"] == "copy_advanced"]
    assert about
    assert {line["correlation_id"] for line in about} == {f"{TARGET}/{image_id}"}
    assert "t1." not in json.dumps(lines), "a token was logged"
