"""Asynchronous invocations: events wait inside Lambda, are tried again, and end in the on-failure destination."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.host.functions import HostClosedError, Invocation

# One minute before the second try, two before the third
# (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
LAMBDA_RETRY_DELAYS = (60.0, 120.0)


@dataclass(frozen=True)
class AsyncConfig:
    """How a function's asynchronous invocations are retried.

    Attributes:
        retries: Further tries after the first one, 0 to 2.
        on_failure_queue: URL of the queue that receives what was given up; None drops it.
    """

    retries: int = 2
    on_failure_queue: str | None = None


class AsyncInvoker:
    """Invokes functions without keeping the sender waiting.

    Args:
        invoke: Runs one invocation by logical id.
        configs: Retries and destinations by logical id; a missing one has Lambda's defaults.
        send: Puts a message body into the queue with the given URL.
        function_arn: ARN by logical id.
        retry_delays: Seconds before each further try.
    """

    def __init__(
        self,
        invoke: Callable[[str, Any], Invocation],
        *,
        configs: Mapping[str, AsyncConfig],
        send: Callable[[str, str], None],
        function_arn: Callable[[str], str],
        retry_delays: Sequence[float] = LAMBDA_RETRY_DELAYS,
    ) -> None:
        self._invoke = invoke
        self._configs = configs
        self._send = send
        self._function_arn = function_arn
        self._retry_delays = retry_delays
        self._stopping = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="async-invoke")

    def submit(self, logical_id: str, event: Any) -> Future[Invocation]:
        """Accept an event; the future holds the last try, failed or not."""
        return self._workers.submit(self._run, logical_id, event)

    def stop(self) -> None:
        """Try nothing again from now on; what waits for another try is dropped."""
        self._stopping.set()

    def close(self) -> None:
        """Stop, and wait for running invocations; they end when their processes are killed."""
        self.stop()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _run(self, logical_id: str, event: Any) -> Invocation:
        config = self._configs.get(logical_id, AsyncConfig())
        invocation = self._invoke(logical_id, event)
        tries = 1
        while invocation.error is not None and tries <= config.retries:
            delay = self._retry_delays[min(tries, len(self._retry_delays)) - 1]
            if self._stopping.wait(delay):
                raise HostClosedError
            invocation = self._invoke(logical_id, event)
            tries += 1
        if invocation.error is not None and config.on_failure_queue is not None and not self._stopping.is_set():
            record = _failure_record(self._function_arn(logical_id), event, invocation, tries)
            self._send(config.on_failure_queue, json.dumps(record))
        return invocation


def _failure_record(function_arn: str, event: Any, invocation: Invocation, tries: int) -> dict[str, Any]:
    """Describe a given-up event as Lambda does for an SQS destination."""
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{function_arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": tries,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": invocation.payload,
    }
