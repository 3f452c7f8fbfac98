"""EventBridge rules with a pattern: moto matches the events, a tap queue per rule hands them to the function.

S3 object events and events put on the default bus arrive the same way.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Rule:
    """A rule of the template that matches events.

    Attributes:
        name: Physical name.
        pattern: Resolved event pattern.
        function: Logical id of its target.
    """

    name: str
    pattern: dict[str, Any]
    function: str


class EventBus:
    """Delivers matching events to functions until closed.

    Args:
        sqs: boto3 client.
        events: boto3 client of EventBridge.
        deliver: Starts an asynchronous invocation by logical id.
    """

    def __init__(self, sqs: Any, events: Any, deliver: Callable[[str, Any], object]) -> None:
        self._sqs = sqs
        self._events = events
        self._deliver = deliver
        self._taps: list[tuple[str, Rule]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-bus", daemon=True)

    def start(self, rules: list[Rule]) -> None:
        """Create the rules and begin to deliver."""
        for rule in rules:
            url = self._sqs.create_queue(QueueName=f"tap-{rule.name}"[:80])["QueueUrl"]
            answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            self._events.put_rule(Name=rule.name, EventPattern=json.dumps(rule.pattern))
            self._events.put_targets(Rule=rule.name, Targets=[{"Id": "tap", "Arn": answer["Attributes"]["QueueArn"]}])
            self._taps.append((url, rule))
        self._thread.start()

    def close(self) -> None:
        """Deliver nothing any more. Safe when never started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for url, rule in self._taps:
                self._drain(url, rule)
            self._stopping.wait(POLL_SECONDS)

    def _drain(self, url: str, rule: Rule) -> None:
        for message in self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            event["id"] = str(uuid.uuid4())  # moto's S3 events all have the same one
            self._deliver(rule.function, event)
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
