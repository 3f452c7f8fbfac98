"""Triggers: a queue's, which hands over whole batches, and all others, which try again and then give up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.host.functions import HostClosedError, Invocation
from local.host.queues import POLL_SECONDS
from local.yandex import shapes

Invoke = Callable[[str, Any], Invocation]


@dataclass(frozen=True)
class QueueTrigger:
    """A Message Queue trigger.

    Attributes:
        arn: The queue as its events name it.
        batch_size: The most messages in one event; one by default, as on Yandex Cloud.
        visibility: Seconds for which the trigger hides what it takes.
        deliver_twice: Hand each batch over a second time before deleting it, as at-least-once delivery may.
    """

    queue_url: str
    arn: str
    function: str
    visibility: int
    batch_size: int = 1
    deliver_twice: bool = False


class QueueReader:
    """Moves batches from a queue to its function until closed.

    A batch whose function returned is deleted, whatever it returned. One whose function failed stays hidden until its
    visibility timeout is over, then comes back as a whole, and is redriven after the receives that the queue allows.
    Source: the page "Trigger for Message Queue".

    Args:
        trigger: From where to where.
        sqs: boto3 client.
        invoke: Runs one invocation by the function's name.
    """

    def __init__(self, trigger: QueueTrigger, sqs: Any, invoke: Invoke) -> None:
        self._trigger = trigger
        self._sqs = sqs
        self._invoke = invoke
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"trigger-{trigger.function}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Take no further batch and wait for the one in flight; kill the function first to make that quick."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._deliver_one_batch():
                    self._stopping.wait(POLL_SECONDS)
        except HostClosedError:
            return

    def _deliver_one_batch(self) -> bool:
        trigger = self._trigger
        messages = self._sqs.receive_message(
            QueueUrl=trigger.queue_url,
            MaxNumberOfMessages=trigger.batch_size,
            VisibilityTimeout=trigger.visibility,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", [])
        if not messages:
            return False
        event = shapes.queue(trigger.arn, messages, datetime.now(UTC))
        invocation = self._invoke(trigger.function, event)
        if trigger.deliver_twice:
            invocation = self._invoke(trigger.function, event)
        if invocation.error is None and not self._stopping.is_set():
            for message in messages:
                self._sqs.delete_message(QueueUrl=trigger.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return True


class Deliveries:
    """Events of the triggers that keep no queue: tried, tried again, and put into the dead-letter queue.

    Args:
        invoke: Runs one invocation by the function's name.
        give_up: Puts a message body into the dead-letter queue.
        attempts: Further tries, 0 to 5; a trigger without retry settings makes none.
        interval: Seconds before each of them, 10 to 60 on Yandex Cloud.
    """

    def __init__(self, invoke: Invoke, give_up: Callable[[str], None], *, attempts: int, interval: float) -> None:
        self._invoke = invoke
        self._give_up = give_up
        self._attempts = attempts
        self._interval = interval
        self._stopping = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="trigger")

    def submit(self, function: str, event: Any) -> Future[Invocation]:
        """Deliver an event; the future holds the last try, failed or not."""
        return self._workers.submit(self._run, function, event)

    def stop(self) -> None:
        """Try nothing again from now on."""
        self._stopping.set()

    def close(self) -> None:
        """Stop, and wait for running invocations; they end when their processes are killed."""
        self.stop()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _run(self, function: str, event: Any) -> Invocation:
        invocation = self._invoke(function, event)
        for _ in range(self._attempts):
            if invocation.error is None:
                break
            if self._stopping.wait(self._interval):
                raise HostClosedError
            invocation = self._invoke(function, event)
        if invocation.error is not None and not self._stopping.is_set():
            self._give_up(json.dumps(event))
        return invocation
